import type { Clock } from '../lib/clock.js'
import { must } from '../lib/errors.js'
import { type Block, makeBlock } from './block.js'
import { type Beacon, type DrandOptions, makeBeacon } from './drand/beacon.js'
import { DevnetError } from './errors.js'
import { execute, outcome, type ScriptedRefusal, validate } from './execute.js'
import {
  ANCIENT,
  BAD_PROOF,
  decodeExtrinsic,
  eraBirth,
  InvalidTransaction,
  type SignedExtrinsic,
  STALE,
  signatureHolds,
  timestampExtrinsic,
} from './extrinsic.js'
import { encodeMetadata, type MetadataVersion } from './metadata/metadata.js'
import type { Context } from './pallets/context.js'
import { migrate, onInitialize } from './pallets/hooks.js'
import type { Snapshot } from './persist.js'
import { Pool, type Pooled, type StatusListener } from './pool.js'
import { Drand } from './runtime/drand.js'
import { BLOCK_HASH_COUNT, type Event, Runtime, type RuntimeOptions } from './runtime/runtime.js'
import { System, Timestamp } from './runtime/system.js'
import type { EnumValue, Value } from './scale/codec.js'
import { encode, u32 } from './scale/codec.js'
import { StateStore } from './state/store.js'
import { View } from './state/view.js'

const ZERO_HASH = `0x${'00'.repeat(32)}`
/** Blocks and their state kept for reading; mortal extrinsics need 2400. */
const KEPT_BLOCKS = 4096

export interface ChainOptions {
  readonly clock: Clock
  readonly runtime: RuntimeOptions
  /** How many blocks finality stays behind the head. */
  readonly finalityLag: number
  readonly drand: DrandOptions
  /** A chain to go on from, in place of genesis. */
  readonly restore?: Snapshot
  /** Fills the state of block 0. */
  readonly genesis: (context: Context) => void
}

/** Told of each new best block; `retracted` lists the hashes it replaced, newest first. */
export type HeadListener = (block: Block, retracted: readonly string[]) => void

interface Sealed {
  readonly block: Block
  readonly included: readonly Pooled[]
  readonly runtime: Runtime
}

/** The chain itself: blocks, state, pool and runtime, without sockets and without a timer. */
export class DevChain {
  readonly pool = new Pool()
  readonly #clock: Clock
  readonly #store = new StateStore()
  readonly #sealed: Sealed[] = []
  readonly #byHash = new Map<string, number>()
  readonly #heads = new Set<HeadListener>()
  readonly #finalized = new Set<(block: Block) => void>()
  readonly #upgrades = new Set<(runtime: Runtime) => void>()
  readonly #metadata = new WeakMap<Runtime, Map<MetadataVersion, Uint8Array>>()
  readonly #lag: number
  readonly #beacon: Beacon
  #runtime: Runtime
  #firstKept = 0
  /** State of lower blocks was not kept. */
  #stateFrom = 0
  #finalizedNumber = 0
  #forks = 0
  /** Errors that scripted faults put in place of calls. */
  scripted: ScriptedRefusal = () => undefined
  /** Changes made from outside, to be part of the next block. */
  #pending = new Map<string, Uint8Array | undefined>()

  constructor(options: ChainOptions) {
    this.#clock = options.clock
    this.#lag = options.finalityLag
    this.#beacon = makeBeacon(options.drand)
    this.#runtime = new Runtime(options.runtime)
    if (options.restore !== undefined) {
      this.#restore(options.restore)
    } else {
      this.#seal(0, (context) => {
        context.state.write(Drand.BeaconConfig, [], this.#beacon.config)
        options.genesis(context)
      })
    }
  }

  #restore({ blocks, state, finalized }: Snapshot): void {
    for (const block of blocks) {
      this.#sealed[block.number] = { block, included: [], runtime: this.#runtime }
      this.#byHash.set(block.hash, block.number)
    }
    this.#finalizedNumber = finalized
    this.#stateFrom = this.head.number
    this.#store.commit(this.head.number, state)
  }

  /** What has to be kept to go on from here later. */
  snapshot(): Snapshot {
    const head = this.#store.at(this.head.number)
    const state = new Map<string, Uint8Array>()
    for (const key of head.keys('')) {
      const value = head.get(key)
      if (value !== undefined) state.set(key, value)
    }
    const blocks = this.#sealed.filter((sealed) => sealed !== undefined).map(({ block }) => block)
    return { blocks, finalized: this.#finalizedNumber, state }
  }

  get runtime(): Runtime {
    return this.#runtime
  }

  get genesisHash(): string {
    return must(this.#sealed[0], 'genesis').block.hash
  }

  get head(): Block {
    return must(this.#sealed.at(-1), 'the head').block
  }

  get finalized(): Block {
    return this.blockAt(this.#finalizedNumber) ?? this.head
  }

  /** The block at a height; `undefined` above the head or below what is kept. */
  blockAt(number: number): Block | undefined {
    return this.#sealed[number]?.block
  }

  /** @throws DevnetError DEVNET_BLOCK_UNKNOWN for a hash not on the chain any more */
  block(hash?: string): Block {
    if (hash === undefined) return this.head
    const number = this.#byHash.get(hash.toLowerCase())
    const block = number === undefined ? undefined : this.blockAt(number)
    if (block === undefined) {
      throw new DevnetError(
        { code: 'DEVNET_BLOCK_UNKNOWN', block: hash },
        `no block ${hash}: it was never made, was forked away or is too old`,
      )
    }
    return block
  }

  /** State after a block; the head unless given. Changes to the view stay in it. */
  stateAt(hash?: string): View {
    const { number } = this.block(hash)
    if (number < this.#stateFrom) {
      throw new DevnetError(
        { code: 'DEVNET_BLOCK_UNKNOWN', block: hash ?? '' },
        `state of block ${number} was discarded: ask for ${this.#stateFrom} or newer`,
      )
    }
    return new View(this.#store.at(number))
  }

  runtimeAt(hash?: string): Runtime {
    return must(this.#sealed[this.block(hash).number], 'a block').runtime
  }

  /** Encoded metadata, kept: making it takes tens of milliseconds. */
  metadata(runtime: Runtime, version: MetadataVersion): Uint8Array {
    const versions = this.#metadata.get(runtime) ?? new Map<MetadataVersion, Uint8Array>()
    this.#metadata.set(runtime, versions)
    const made = versions.get(version) ?? encodeMetadata(runtime, version)
    versions.set(version, made)
    return made
  }

  onHead(listener: HeadListener): () => void {
    this.#heads.add(listener)
    return () => this.#heads.delete(listener)
  }

  onFinalized(listener: (block: Block) => void): () => void {
    this.#finalized.add(listener)
    return () => this.#finalized.delete(listener)
  }

  onUpgrade(listener: (runtime: Runtime) => void): () => void {
    this.#upgrades.add(listener)
    return () => this.#upgrades.delete(listener)
  }

  /** A context for the next block that nothing keeps: for validation and dry runs. */
  #trial(): Context {
    const state = new View(this.#store.at(this.head.number))
    return { runtime: this.#runtime, state, block: this.head.number + 1, emit: () => {} }
  }

  /**
   * Takes an extrinsic into the pool.
   * @throws InvalidTransaction as `author_submitExtrinsic` would answer
   */
  submit(data: Uint8Array, listener?: StatusListener): Pooled {
    const extrinsic = decodeExtrinsic(data, this.#runtime)
    this.#checkSignature(extrinsic)
    const context = this.#trial()
    const pooled = { hash: '', data, extrinsic, listeners: new Set<StatusListener>() }
    validate(context, pooled)
    const onChain = context.state.read(System.Account, extrinsic.signer).nonce
    const ready = this.pool.nextNonce(extrinsic.signer, onChain)
    const added = this.pool.add(data, extrinsic, listener)
    listener?.(extrinsic.nonce > ready ? 'future' : 'ready')
    return added
  }

  #checkSignature(extrinsic: SignedExtrinsic): void {
    const { era } = extrinsic
    const birth = era === undefined ? 0 : eraBirth(era, this.head.number)
    if (era !== undefined && this.head.number - birth > BLOCK_HASH_COUNT) {
      throw new InvalidTransaction(ANCIENT)
    }
    const birthHash = this.blockAt(birth)?.hash ?? ZERO_HASH
    const context = { runtime: this.#runtime, genesisHash: this.genesisHash, birthHash }
    if (extrinsic.metadataMode !== 0 || !signatureHolds(extrinsic, context)) {
      throw new InvalidTransaction(BAD_PROOF)
    }
  }

  /** Makes one block of what waits and becomes its head. */
  seal(): Block {
    return this.#seal(this.head.number + 1, () => {})
  }

  #seal(number: number, prepare: (context: Context) => void): Block {
    const parent = this.#sealed.at(-1)?.block
    const state = new View(this.#store.at(number - 1))
    const events: Value<Runtime['events']['value']> = []
    let phase: EnumValue = { name: 'Initialization', values: [] }
    const context: Context = {
      runtime: this.#runtime,
      state,
      block: number,
      emit: (event: Event) => {
        events.push({ phase, event: this.#runtime.eventValue(event), topics: [] })
      },
    }
    const before = number === 0 ? 0n : state.read(Timestamp.Now)
    const clock = BigInt(Math.trunc(this.#clock.now()))
    const now = clock > before ? clock : before + 1n
    state.write(System.Number, [], number)
    state.write(System.ParentHash, [], parent?.hash ?? ZERO_HASH)
    if (parent !== undefined) state.write(System.BlockHash, [number - 1], parent.hash)
    state.write(Timestamp.Now, [], now)
    prepare(context)
    for (const [key, value] of this.#pending) state.setRaw(key, value)
    this.#pending.clear()
    if (number > 0) onInitialize(context, this.#beacon)

    const extrinsics: Uint8Array[] = []
    const included: Pooled[] = []
    if (number > 0) {
      phase = { name: 'ApplyExtrinsic', values: [0] }
      extrinsics.push(timestampExtrinsic(this.#runtime, now))
      context.emit(outcome(undefined, true))
      for (const pooled of this.pool.inOrder()) {
        phase = { name: 'ApplyExtrinsic', values: [extrinsics.length] }
        if (!this.#include(context, pooled)) continue
        extrinsics.push(pooled.data)
        included.push(pooled)
      }
    }
    state.write(this.#runtime.events, [], events)
    state.write(System.EventCount, [], events.length)
    return this.#adopt(state, number, parent?.hash ?? ZERO_HASH, extrinsics, included)
  }

  /** Applies one waiting extrinsic, or drops it when it can no longer be valid. */
  #include(context: Context, pooled: Pooled): boolean {
    const account = context.state.read(System.Account, pooled.extrinsic.signer)
    if (pooled.extrinsic.nonce > account.nonce) return false
    this.pool.remove(pooled.hash)
    try {
      this.#checkSignature(pooled.extrinsic)
      validate(context, pooled)
    } catch (error) {
      if (!(error instanceof InvalidTransaction)) throw error
      const status = error.data === STALE ? 'dropped' : 'invalid'
      for (const listener of pooled.listeners) listener(status)
      return false
    }
    execute(context, pooled, this.scripted)
    return true
  }

  #adopt(
    state: View,
    number: number,
    parentHash: string,
    extrinsics: readonly Uint8Array[],
    included: readonly Pooled[],
  ): Block {
    this.#store.commit(number, state.changes)
    const values = [...state.changes.values()].filter((value) => value !== undefined)
    const distinction = [encode(u32, this.#forks), ...values]
    const block = makeBlock({ number, parentHash, extrinsics, distinction })
    this.#sealed[number] = { block, included, runtime: this.#runtime }
    this.#byHash.set(block.hash, number)
    this.#forget(number - KEPT_BLOCKS)
    for (const pooled of included) {
      for (const listener of pooled.listeners) listener({ inBlock: block.hash })
    }
    this.#announce(block, [])
    return block
  }

  #announce(block: Block, retracted: readonly string[]): void {
    for (const listener of [...this.#heads]) listener(block, retracted)
    const target = Math.max(0, block.number - this.#lag)
    for (let n = this.#finalizedNumber + 1; n <= target; n += 1) {
      const sealed = this.#sealed[n]
      if (sealed === undefined) continue
      this.#finalizedNumber = n
      for (const listener of [...this.#finalized]) listener(sealed.block)
      for (const pooled of sealed.included) {
        for (const listener of pooled.listeners) listener({ finalized: sealed.block.hash })
        pooled.listeners.clear()
      }
    }
  }

  #forget(below: number): void {
    if (below <= this.#firstKept) return
    this.#store.prune(below)
    for (let n = Math.max(1, this.#firstKept); n < below; n += 1) {
      const sealed = this.#sealed[n]
      if (sealed === undefined) continue
      this.#byHash.delete(sealed.block.hash)
      delete this.#sealed[n]
    }
    this.#firstKept = below
    this.#stateFrom = Math.max(this.#stateFrom, below)
  }

  // --- scripted ----------------------------------------------------------------------------

  /** Writes raw storage into the next block, as sudo would. */
  setStorage(key: string, value: Uint8Array | undefined): void {
    this.#pending.set(key, value)
  }

  /**
   * Drops the newest `depth` blocks and makes as many other ones: what waits in them goes back to
   * the pool first.
   */
  fork(depth: number): void {
    const back = Math.max(0, this.head.number - depth)
    const retracted = this.#sealed.splice(back + 1).reverse()
    this.#forks += 1
    this.#store.truncate(back)
    this.#finalizedNumber = Math.min(this.#finalizedNumber, back)
    this.#adoptRuntime(must(this.#sealed[back], 'the fork point').runtime)
    for (const { block, included } of retracted) {
      this.#byHash.delete(block.hash)
      for (const pooled of included) {
        for (const listener of pooled.listeners) listener({ retracted: block.hash })
        this.pool.restore(pooled)
      }
    }
    for (const _ of retracted) this.seal()
  }

  /**
   * Another runtime from the next block on, as a runtime upgrade would bring it. Its spec version
   * is higher than the present one unless options say which.
   */
  upgrade(options: RuntimeOptions): Runtime {
    const old = this.#runtime
    const specVersion = options.specVersion ?? Math.max(options.model, old.specVersion + 1)
    const runtime = new Runtime({ ...options, specVersion })
    this.#runtime = runtime
    this.#seal(this.head.number + 1, (context) => {
      migrate(context, old.model)
      context.emit({ pallet: 'System', name: 'CodeUpdated', values: [] })
    })
    this.#runtime = old
    this.#adoptRuntime(runtime)
    return runtime
  }

  #adoptRuntime(runtime: Runtime): void {
    if (runtime === this.#runtime) return
    this.#runtime = runtime
    for (const listener of [...this.#upgrades]) listener(runtime)
  }
}
