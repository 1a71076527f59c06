import { blake2b } from '@noble/hashes/blake2.js'
import { must } from '../../lib/errors.js'
import type { Reader } from '../scale/bytes.js'
import {
  type AnyCodec,
  type Codec,
  type EnumValue,
  encode,
  enumOf,
  struct,
  u16,
  u32,
  u64,
  type Value,
  type Variant,
  variant,
  vec,
} from '../scale/codec.js'
import { APIS, type ApiMethod } from './apis.js'
import {
  BALANCES_CALLS,
  type CallEntry,
  COMMITMENTS_CALLS,
  SUBTENSOR_CALLS,
  SYSTEM_CALLS,
  TIMESTAMP_CALLS,
} from './calls.js'
import { Commitments } from './commitments.js'
import { Drand } from './drand.js'
import { BALANCES_ERRORS, COMMITMENTS_ERRORS, subtensorErrors } from './error-names.js'
import {
  BALANCES_EVENTS,
  COMMITMENTS_EVENTS,
  type EventEntry,
  eventIndex,
  PAYMENT_EVENTS,
  SUBTENSOR_EVENTS,
  SYSTEM_EVENTS,
} from './events.js'
import { EXTENSIONS, type Extension } from './extensions.js'
import { h256, phase, runtimeVersion } from './frame-types.js'
import { type AnyEntry, inRange, item, palletStorage } from './storage.js'
import { Subtensor } from './subtensor-storage.js'
import { Balances, Sudo, System, Timestamp, TransactionPayment } from './system.js'

/**
 * Runtimes the node can be, by the spec version of the release whose items and behaviour it follows.
 * 446 is 425 with the storage items that bittensor 11.3 reads and 425 lacks.
 */
export const RUNTIME_MODELS = [218, 393, 425, 446] as const
export type RuntimeModel = (typeof RUNTIME_MODELS)[number]

export interface RuntimeOptions {
  readonly model: RuntimeModel
  /** What the chain says its spec version is; the model's own unless given. */
  readonly specVersion?: number
  /** Added to every call index of SubtensorModule: an upgrade that moved the calls. */
  readonly callIndexShift?: number
  /** Time between blocks that `Aura.SlotDuration` states; 12 s unless given. */
  readonly slotMs?: number
}

type Calls = Readonly<Record<string, CallEntry<Readonly<Record<string, AnyCodec>>>>>
type Events = Readonly<Record<string, EventEntry>>

interface PalletSource {
  readonly name: string
  readonly index: number
  readonly storage: Readonly<Record<string, AnyEntry>>
  readonly calls?: Calls
  readonly events?: Events
  readonly errors?: readonly string[]
  readonly constants?: Readonly<Record<string, readonly [AnyCodec, unknown]>>
}

/** One pallet as one runtime has it: what metadata lists. */
export interface Pallet {
  readonly name: string
  readonly index: number
  readonly storage: readonly AnyEntry[]
  readonly calls: Codec<EnumValue> | undefined
  readonly events: Codec<EnumValue> | undefined
  readonly errors: Codec<EnumValue> | undefined
  readonly constants: readonly { name: string; type: AnyCodec; value: Uint8Array }[]
}

/** A decoded call. */
export interface Call {
  readonly pallet: string
  readonly name: string
  readonly args: Readonly<Record<string, unknown>>
  /** No fee is charged. */
  readonly free: boolean
}

export interface Event {
  readonly pallet: string
  readonly name: string
  readonly values: readonly unknown[]
}

export interface Api {
  readonly name: string
  readonly version: number
  readonly methods: readonly {
    name: string
    method: ApiMethod<Readonly<Record<string, AnyCodec>>, unknown>
  }[]
}

const API_VERSIONS: Readonly<Record<string, number>> = {
  Core: 5,
  Metadata: 2,
  TransactionPaymentApi: 4,
}

/**
 * Everything a client learns from metadata, filtered from the tables for one spec version: what
 * calls, storage, events, errors and runtime APIs exist, and under which numbers.
 */
export class Runtime {
  readonly model: RuntimeModel
  readonly specVersion: number
  readonly pallets: readonly Pallet[]
  readonly extensions: readonly Extension[]
  readonly apis: readonly Api[]
  readonly call: Codec<EnumValue>
  readonly event: Codec<EnumValue>
  readonly error: Codec<EnumValue>
  readonly events: ReturnType<typeof eventsEntry>
  readonly version: Value<typeof runtimeVersion>
  readonly #calls = new Map<string, Calls>()
  readonly #errors = new Map<string, { index: number; names: readonly string[] }>()

  constructor(options: RuntimeOptions) {
    const { model } = options
    this.model = model
    this.specVersion = options.specVersion ?? model
    this.extensions = EXTENSIONS.filter((extension) => inRange(extension, model))
    this.apis = filterApis(model)
    this.version = versionOf(this.specVersion, this.apis)
    const shift = options.callIndexShift ?? 0
    const sources = palletSources(model, this.version, shift, options.slotMs ?? FINNEY_SLOT_MS)
    const pallets = sources.map((source) => this.#pallet(source))
    this.call = outer('RuntimeCall', pallets, (pallet) => pallet.calls)
    this.event = outer('RuntimeEvent', pallets, (pallet) => pallet.events)
    this.error = outer('RuntimeError', pallets, (pallet) => pallet.errors)
    this.events = eventsEntry(this.event)
    this.pallets = pallets.map((pallet) =>
      pallet.name === 'System' ? { ...pallet, storage: [...pallet.storage, this.events] } : pallet,
    )
  }

  #pallet(source: PalletSource): Pallet {
    const { name, index } = source
    const calls = filter(source.calls ?? {}, this.model)
    this.#calls.set(name, calls)
    this.#errors.set(name, { index, names: source.errors ?? [] })
    const path = `pallet_${name.toLowerCase().replace('module', '')}::pallet`
    return {
      name,
      index,
      storage: Object.values(filter(source.storage, this.model)),
      calls: enumUnlessEmpty(`${path}::Call`, callVariants(calls)),
      events: enumUnlessEmpty(`${path}::Event`, eventVariants(source.events ?? {}, this.model)),
      errors: enumUnlessEmpty(`${path}::Error`, errorVariants(source.errors ?? [])),
      constants: Object.entries(source.constants ?? {}).map(([constant, [type, value]]) => ({
        name: constant,
        type,
        value: encode(type, value),
      })),
    }
  }

  /** @throws DevnetError DEVNET_SCALE_INVALID for a pallet, call or argument that does not decode */
  decodeCall(input: Reader): Call {
    const outerValue = this.call.decode(input)
    const inner = outerValue.values[0] as EnumValue
    const entry = must(
      this.#calls.get(outerValue.name)?.[inner.name],
      'the entry of a decoded call',
    )
    const names = Object.keys(entry.args)
    return {
      pallet: outerValue.name,
      name: inner.name,
      args: Object.fromEntries(names.map((arg, i) => [arg, inner.values[i]])),
      free: entry.free,
    }
  }

  eventValue(event: Event): EnumValue {
    return { name: event.pallet, values: [{ name: event.name, values: event.values }] }
  }

  /** `DispatchError::Module` for an error by name. A name the runtime lacks is a fault of this node. */
  moduleError(pallet: string, name: string): EnumValue {
    const errors = must(this.#errors.get(pallet), `the errors of ${pallet}`)
    const error = errors.names.indexOf(name)
    if (error < 0) throw new RangeError(`runtime ${this.model} has no error ${pallet}.${name}`)
    const value = { index: errors.index, error: Uint8Array.of(error, 0, 0, 0) }
    return { name: 'Module', values: [value] }
  }

  /** Whether an error exists here: older runtimes lack some. */
  hasError(pallet: string, name: string): boolean {
    return this.#errors.get(pallet)?.names.includes(name) ?? false
  }

  /** Whether a call exists here. */
  hasCall(pallet: string, name: string): boolean {
    return this.#calls.get(pallet)?.[name] !== undefined
  }
}

function filter<T extends object>(
  items: Readonly<Record<string, T>>,
  spec: number,
): Record<string, T> {
  return Object.fromEntries(Object.entries(items).filter(([, entry]) => inRange(entry, spec)))
}

function filterApis(model: RuntimeModel): Api[] {
  return Object.entries(APIS)
    .map(([name, methods]) => ({
      name,
      version: API_VERSIONS[name] ?? 1,
      methods: Object.entries(
        filter<ApiMethod<Readonly<Record<string, AnyCodec>>, unknown>>(methods, model),
      ).map(([method, entry]) => ({ name: method, method: entry })),
    }))
    .filter((api) => api.methods.length > 0)
}

function versionOf(specVersion: number, apis: readonly Api[]): Value<typeof runtimeVersion> {
  return {
    spec_name: 'node-subtensor',
    impl_name: 'node-subtensor',
    authoring_version: 1,
    spec_version: specVersion,
    impl_version: 1,
    apis: apis.map((api) => [blake2b(Buffer.from(api.name), { dkLen: 8 }), api.version]),
    transaction_version: 1,
    system_version: 1,
  }
}

function palletSources(
  model: RuntimeModel,
  version: Value<typeof runtimeVersion>,
  shift: number,
  slotMs: number,
): PalletSource[] {
  return [
    {
      name: 'System',
      index: 0,
      storage: System,
      calls: SYSTEM_CALLS,
      events: SYSTEM_EVENTS,
      constants: {
        BlockHashCount: [u32, BLOCK_HASH_COUNT],
        Version: [runtimeVersion, version],
        SS58Prefix: [u16, 42],
      },
    },
    {
      name: 'Timestamp',
      index: 2,
      storage: Timestamp,
      calls: TIMESTAMP_CALLS,
      constants: { MinimumPeriod: [u64, BigInt(Math.floor(slotMs / 2))] },
    },
    {
      name: 'Aura',
      index: 3,
      storage: {},
      constants: { SlotDuration: [u64, BigInt(slotMs)] },
    },
    {
      name: 'Balances',
      index: 5,
      storage: Balances,
      calls: BALANCES_CALLS,
      events: BALANCES_EVENTS,
      errors: BALANCES_ERRORS,
      constants: { ExistentialDeposit: [u64, EXISTENTIAL_DEPOSIT] },
    },
    {
      name: 'TransactionPayment',
      index: 6,
      storage: TransactionPayment,
      events: PAYMENT_EVENTS,
    },
    {
      name: 'SubtensorModule',
      index: 7,
      storage: Subtensor,
      calls: Object.fromEntries(
        Object.entries(SUBTENSOR_CALLS).map(([name, call]) => [
          name,
          { ...call, index: (call.index + shift) % 256 },
        ]),
      ),
      events: SUBTENSOR_EVENTS,
      errors: subtensorErrors(model),
      constants: { InitialTempo: [u16, 360] },
    },
    { name: 'Sudo', index: 12, storage: Sudo },
    {
      name: 'Commitments',
      index: 18,
      storage: Commitments,
      calls: COMMITMENTS_CALLS,
      events: COMMITMENTS_EVENTS,
      errors: COMMITMENTS_ERRORS,
    },
    ...(model < 393 ? [] : [{ name: 'Drand', index: 26, storage: Drand }]),
  ]
}

const FINNEY_SLOT_MS = 12_000
/** How many blocks back a mortal extrinsic may be anchored. */
export const BLOCK_HASH_COUNT = 2400
/** An account below this many rao is removed. */
export const EXISTENTIAL_DEPOSIT = 500n

const callVariants = (calls: Calls): Variant[] =>
  Object.entries(calls).map(([name, call]) => ({
    name,
    index: call.index,
    fields: Object.entries(call.args).map(([arg, type]) => ({ name: arg, type })),
  }))

const eventVariants = (events: Events, model: RuntimeModel): Variant[] =>
  Object.entries(events).flatMap(([name, entry]) => {
    const index = eventIndex(entry, model)
    return index === undefined ? [] : [{ name, index, fields: entry.fields }]
  })

const errorVariants = (names: readonly string[]): Variant[] =>
  names.map((name, index) => ({ name, index, fields: [] }))

const enumUnlessEmpty = (path: string, variants: Variant[]): Codec<EnumValue> | undefined =>
  variants.length === 0 ? undefined : enumOf(path, variants)

function outer(
  name: string,
  pallets: readonly Pallet[],
  part: (pallet: Pallet) => Codec<EnumValue> | undefined,
): Codec<EnumValue> {
  return enumOf(
    `node_subtensor_runtime::${name}`,
    pallets.flatMap((pallet) => {
      const codec = part(pallet)
      return codec === undefined ? [] : [variant(pallet.name, pallet.index, codec)]
    }),
  )
}

/** `System.Events`, whose type is the runtime's own. */
function eventsEntry(event: Codec<EnumValue>) {
  const record = struct('frame_system::EventRecord', { phase, event, topics: vec(h256) }, [
    { name: 'E', type: event },
    { name: 'T', type: h256 },
  ])
  const entry = item<[], Value<typeof record>[]>([], vec(record), [])
  return palletStorage('System', { Events: entry }).Events
}
