import { ApiPromise } from '@polkadot/api'
import type { SubmittableExtrinsic } from '@polkadot/api/types'
import type { ProviderInterface } from '@polkadot/rpc-provider/types'
import type { GenericChainProperties, Vec } from '@polkadot/types'
import type { EventRecord, RuntimeVersion } from '@polkadot/types/interfaces'
import type { Codec, Registry } from '@polkadot/types/types'
import { hexToU8a, stringCamelCase, u8aConcat, u8aToHex } from '@polkadot/util'
import { withResolvers } from '../lib/resources.js'
import { ChainError } from './errors.js'
import { fetchMetadata, type MetadataCache } from './metadata.js'
import type { Transport } from './socket.js'

/** Extensions of subtensor that encode nothing; naming them keeps polkadot from warning about each. */
const EMPTY_EXTENSIONS = Object.fromEntries(
  [
    'SudoTransactionExtension',
    'CheckShieldedTxValidity',
    'SubtensorTransactionExtension',
    'SubtensorSignedExtension',
    'CommitmentsSignedExtension',
    'DrandPriority',
  ].map((name) => [name, { extrinsic: {}, payload: {} }]),
)
const SS58_PREFIX = 42
const DORMANT = 'dormant'

/** A storage item of the connected runtime. */
export interface StorageItem {
  /**
   * Where the value of these keys is. Items have lost keys from one runtime to the next: keys past those
   * of the item are left out.
   *
   * @throws ChainError CHAIN_RUNTIME_LACKS when the item has more keys than are given
   */
  key(...args: readonly unknown[]): string
  /** JSON form of a value; the item's default, or `undefined` for an optional item, when `hex` is null. */
  decode(hex: string | null): unknown
}

/** A runtime API's method whose types the metadata gives. */
export interface RuntimeMethod {
  /** Name for `state_call`. */
  readonly name: string
  encode(...args: readonly unknown[]): string
  decode(hex: string): unknown
}

/** An event of a block, by the names the metadata gives (pallet in camel case). */
export interface ChainEvent {
  /** Index in the block of the extrinsic that caused it. */
  readonly extrinsic: number | undefined
  readonly pallet: string
  readonly name: string
  readonly data: readonly unknown[]
}

/**
 * One version of the chain's runtime: everything is looked up by name in its metadata, so that what
 * moved, went or came between versions is found out here alone.
 */
export class Runtime {
  readonly specVersion: number
  readonly version: RuntimeVersion
  readonly genesisHash: string
  readonly #api: ApiPromise
  readonly #items = new Map<string, StorageItem | undefined>()

  private constructor(api: ApiPromise) {
    this.#api = api
    this.version = api.runtimeVersion
    this.specVersion = this.version.specVersion.toNumber()
    this.genesisHash = api.genesisHash.toHex()
  }

  /**
   * Loads the metadata. Each runtime version gets an api of its own: the one that polkadot patches in
   * place after an upgrade comes from `state_getMetadata`, which has no types of runtime APIs.
   */
  static async load(transport: Transport, cache: MetadataCache): Promise<Runtime> {
    const metadata = await fetchMetadata(transport, cache)
    const failed = withResolvers<never>()
    const api = await Promise.race([
      ApiPromise.create({
        provider: providerOver(transport, failed.reject),
        metadata,
        noInitWarn: true,
        throwOnConnect: true,
        signedExtensions: EMPTY_EXTENSIONS,
      }),
      failed.promise,
    ])
    const properties = { ss58Format: SS58_PREFIX }
    api.registry.setChainProperties(
      api.registry.createTypeUnsafe<GenericChainProperties>('ChainProperties', [properties]),
    )
    return new Runtime(api)
  }

  get registry(): Registry {
    return this.#api.registry
  }

  /** Releases polkadot's timers; the transport stays open. */
  async close(): Promise<void> {
    await this.#api.disconnect()
  }

  hasCall(pallet: string, call: string): boolean {
    return this.#call(pallet, call) !== undefined
  }

  /**
   * An extrinsic from arguments by name (as the metadata spells them), so that their order and
   * additions to it are the runtime's business.
   *
   * @throws ChainError CHAIN_RUNTIME_LACKS
   */
  extrinsic(
    pallet: string,
    call: string,
    args: Readonly<Record<string, unknown>>,
  ): SubmittableExtrinsic<'promise'> {
    const build = this.#call(pallet, call)
    if (build === undefined) throw this.lacks(`the call ${pallet}.${call}`)
    // polkadot turns the names of the metadata into camel case.
    const given = new Map(Object.entries(args).map(([key, value]) => [stringCamelCase(key), value]))
    const values = build.meta.args.map(({ name }) => {
      const value = given.get(stringCamelCase(name.toString()))
      if (value === undefined) throw this.lacks(`${pallet}.${call} without ${name.toString()}`)
      return value
    })
    return build(...values)
  }

  /** A storage item, or `undefined` where this runtime has none of that name. */
  storage(pallet: string, item: string): StorageItem | undefined {
    const id = `${pallet}.${item}`
    if (!this.#items.has(id)) this.#items.set(id, this.#findStorage(pallet, item))
    return this.#items.get(id)
  }

  /** A runtime API method with types, or `undefined` (absent, or metadata older than V15, or untyped). */
  method(api: string, method: string): RuntimeMethod | undefined {
    const definition = this.#api.runtimeMetadata.asLatest.apis
      .find(({ name }) => name.toString() === api)
      ?.methods.find(({ name }) => name.toString() === method)
    if (definition === undefined) return undefined
    const output = this.registry.createLookupType(definition.output)
    const inputs = definition.inputs.map(({ type }) => this.registry.createLookupType(type))
    if (this.registry.lookup.getTypeDef(definition.output).type === 'Bytes') return undefined
    return {
      name: `${api}_${method}`,
      encode: (...args) =>
        u8aToHex(
          u8aConcat(
            ...inputs.map((type, i) => this.registry.createTypeUnsafe(type, [args[i]]).toU8a()),
          ),
        ),
      decode: (hex) => this.#decode(`${api}.${method}`, output, hexToU8a(hex)).toJSON(),
    }
  }

  /** A pallet's constant as JSON, or `undefined`. */
  constant(pallet: string, name: string): unknown {
    const value = this.#api.consts[stringCamelCase(pallet)]?.[stringCamelCase(name)]
    return value?.toJSON()
  }

  /** @param hex the value of System.Events, `null` for none */
  decodeEvents(hex: string | null): readonly ChainEvent[] {
    if (hex === null) return []
    const type = 'Vec<EventRecord>'
    const decoded = this.#decode<Vec<EventRecord>>('System.Events', type, hexToU8a(hex))
    return decoded.map(({ phase, event }) => ({
      extrinsic: phase.isApplyExtrinsic ? phase.asApplyExtrinsic.toNumber() : undefined,
      pallet: event.section,
      name: event.method,
      data: event.data.map((value) => value.toJSON()),
    }))
  }

  /** The runtime's name of a module error, e.g. `SettingWeightsTooFast`. */
  moduleErrorName(index: number, error: number): string {
    try {
      return this.registry.findMetaError(Uint8Array.of(index, error)).name
    } catch {
      return `Module${index}Error${error}`
    }
  }

  /** Decodes bytes of a named type; what does not decode is the node's fault. */
  #decode<T extends Codec>(what: string, type: string, data: Uint8Array): T {
    try {
      const value = this.registry.createTypeUnsafe<T>(type, [data])
      // polkadot reads zeros past the end of the data.
      const size = value.initialU8aLength || value.encodedLength
      if (size > data.length) throw new RangeError(`${size} bytes of which ${data.length} came`)
      return value
    } catch (cause) {
      throw new ChainError(
        { code: 'CHAIN_MALFORMED', what },
        `${what} as the node sent it does not decode under runtime ${this.specVersion}`,
        { cause },
      )
    }
  }

  lacks(item: string): ChainError {
    return new ChainError(
      { code: 'CHAIN_RUNTIME_LACKS', item, specVersion: this.specVersion },
      `runtime ${this.specVersion} does not have ${item}; connect to a network with a newer one`,
    )
  }

  #call(pallet: string, call: string) {
    return this.#api.tx[stringCamelCase(pallet)]?.[stringCamelCase(call)]
  }

  #findStorage(pallet: string, item: string): StorageItem | undefined {
    const section = this.#api.query[stringCamelCase(pallet)]
    const entry = section?.[stringCamelCase(item)]
    if (entry === undefined) return undefined
    const { type, modifier, fallback } = entry.creator.meta
    const arity = type.isPlain ? 0 : type.asMap.hashers.length
    const valueType = this.registry.createLookupType(type.isPlain ? type.asPlain : type.asMap.value)
    const decode = (data: Uint8Array) => this.#decode(`${pallet}.${item}`, valueType, data).toJSON()
    return {
      key: (...args) => {
        if (args.length < arity) throw this.lacks(`${pallet}.${item} under ${args.length} keys`)
        return entry.key(...args.slice(0, arity))
      },
      decode: (hex) => {
        if (hex !== null) return decode(hexToU8a(hex))
        return modifier.isOptional ? undefined : decode(fallback.toU8a(true))
      },
    }
  }
}

/**
 * Our transport as polkadot wants to see one. The cast is the one seam to its types, which expect
 * a provider to reconnect and clone itself.
 *
 * @param onFailure told of what fails; polkadot is left waiting, since it would write to the console
 */
function providerOver(
  transport: Transport,
  onFailure: (error: unknown) => void,
): ProviderInterface {
  const provider = {
    hasSubscriptions: true,
    isClonable: false,
    get isConnected() {
      return transport.isOpen
    },
    clone: () => provider,
    connect: async () => undefined,
    disconnect: async () => undefined,
    on: (type: string, listener: (value?: unknown) => void) => {
      if (type === 'disconnected') transport.onClose(() => listener())
      return () => undefined
    },
    send: async (method: string, params: unknown[]) => {
      // polkadot's keep-alive; the watchdog has its own.
      if (method === 'system_health') return { peers: 0, isSyncing: false, shouldHavePeers: false }
      try {
        return await transport.request(method, params)
      } catch (error) {
        onFailure(error)
        return new Promise<never>(() => {})
      }
    },
    subscribe: async (
      _type: string,
      method: string,
      params: unknown[],
      callback: (error: Error | null, result: unknown) => void,
    ) => {
      // Versions are watched in connection.ts: patching this api in place would pull the types from
      // under calls that are being made with it.
      if (method === 'state_subscribeRuntimeVersion') return DORMANT
      return transport.subscribe(method, params, (result) => callback(null, result))
    },
    unsubscribe: async (_type: string, method: string, id: string | number) => {
      if (id !== DORMANT) await transport.unsubscribe(method, String(id)).catch(() => undefined)
      return true
    },
  }
  return provider as unknown as ProviderInterface
}
