import type { Header } from '@polkadot/types/interfaces'
import { z } from 'zod'
import type { Clock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { type BlockNumber, toBlockNumber } from '../protocol/units.js'
import { ChainError } from './errors.js'
import type { MetadataCache } from './metadata.js'
import { type ChainEvent, Runtime } from './runtime.js'
import { type RequestOptions, RpcSocket, type Transport } from './socket.js'
import type { Head } from './types.js'

export interface ConnectOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly metadata: MetadataCache
  /** Overrides what the runtime's constants say. */
  readonly blockTimeMs?: number
  readonly signal?: AbortSignal
  /** How a socket is opened; tests pass their own. */
  readonly openTransport?: typeof RpcSocket.connect
}

/** What is read in one round trip: names to storage items with their keys. */
export type StorageRequest<K extends string> = Readonly<
  Record<K, readonly [pallet: string, item: string, ...args: unknown[]]>
>

export interface ReadOptions<K extends string> extends RequestOptions {
  /** Those without which the caller cannot go on. */
  readonly required?: readonly K[]
}

const DEFAULT_BLOCK_TIME_MS = 12_000
/** Keys in one `state_queryStorageAt`; nodes cap the size of a request. */
const KEYS_PER_REQUEST = 500

const hash = z.string().regex(/^0x[0-9a-f]{64}$/i)
const rawHeader = z.looseObject({ number: z.string().regex(/^0x[0-9a-f]{1,13}$/i) })
const versionNotice = z.looseObject({ specVersion: z.number() })
const changes = z.array(
  z.object({ changes: z.array(z.tuple([z.string(), z.string().nullable()])) }),
)

/** One endpoint while it works: calls at a block hash, heads as they come, the runtime as it changes. */
export class Connection {
  readonly endpoint: string
  readonly blockTimeMs: number
  readonly #transport: Transport
  readonly #options: ConnectOptions
  readonly #headListeners = new Set<(head: Head) => void>()
  #runtime: Runtime
  #upgrade: Promise<void> = Promise.resolve()
  #head: Head

  private constructor(transport: Transport, runtime: Runtime, head: Head, options: ConnectOptions) {
    this.endpoint = transport.endpoint
    this.#transport = transport
    this.#options = options
    this.#runtime = runtime
    this.#head = head
    this.blockTimeMs = options.blockTimeMs ?? blockTimeOf(runtime)
  }

  /** @throws ChainError */
  static async open(endpoint: string, options: ConnectOptions): Promise<Connection> {
    const transport = await (options.openTransport ?? RpcSocket.connect)(endpoint, options)
    let runtime: Runtime | undefined
    try {
      runtime = await Runtime.load(transport, options.metadata)
      const head = await readHead(transport, options.signal)
      const connection = new Connection(transport, runtime, head, options)
      await connection.#watch(options.signal)
      return connection
    } catch (error) {
      await runtime?.close()
      transport.close()
      throw error
    }
  }

  get runtime(): Runtime {
    return this.#runtime
  }

  get genesisHash(): string {
    return this.#runtime.genesisHash
  }

  /** The newest head this node announced. */
  get head(): Head {
    return this.#head
  }

  request(
    method: string,
    params: readonly unknown[],
    options: RequestOptions = {},
  ): Promise<unknown> {
    return this.#transport.request(method, params, options)
  }

  /** The runtime once a version change that is under way is loaded. */
  async currentRuntime(): Promise<Runtime> {
    await this.#upgrade
    return this.#runtime
  }

  /** Asks the node for its head, announces it when it is new. */
  async pollHead(options: RequestOptions = {}): Promise<Head> {
    const before = this.#head
    const head = await readHead(this.#transport, options.signal, options.timeoutMs)
    // One that was announced meanwhile is newer than the answer.
    if (this.#head === before) this.#announce(head)
    return this.#head
  }

  async blockHash(block: number, options: RequestOptions = {}): Promise<string | undefined> {
    const result = await this.request('chain_getBlockHash', [block], options)
    return result === null ? undefined : parse(hash, result, 'chain_getBlockHash')
  }

  async finalized(options: RequestOptions = {}): Promise<Head> {
    const at = parse(hash, await this.request('chain_getFinalizedHead', [], options), 'head')
    const header = parse(rawHeader, await this.request('chain_getHeader', [at], options), 'header')
    return { number: toBlockNumber(Number(header.number)), hash: at }
  }

  /**
   * Reads storage at one block in one round trip (per 500 keys). Items that the runtime lacks, and
   * optional values that are not set, come back `undefined`.
   *
   * @throws ChainError CHAIN_RUNTIME_LACKS when the runtime has no item that is required
   */
  async read<K extends string>(
    at: string,
    wanted: StorageRequest<K>,
    options: ReadOptions<NoInfer<K>> = {},
  ): Promise<Record<K, unknown>> {
    const runtime = await this.currentRuntime()
    const entries = (Object.entries(wanted) as [K, StorageRequest<K>[K]][]).flatMap(
      ([name, [pallet, item, ...args]]) => {
        const storage = runtime.storage(pallet, item)
        if (storage !== undefined) return [{ name, storage, key: storage.key(...args) }]
        if (options.required?.includes(name)) throw runtime.lacks(`the storage ${pallet}.${item}`)
        return []
      },
    )
    const values = await this.#readKeys(
      at,
      entries.map(({ key }) => key),
      options,
    )
    const result: Partial<Record<K, unknown>> = {}
    for (const { name, storage, key } of entries) {
      result[name] = storage.decode(values.get(key) ?? null)
    }
    return result as Record<K, unknown>
  }

  /** Calls a runtime API at one block; `undefined` where the runtime has none of that name with types. */
  async call(
    at: string,
    api: string,
    method: string,
    args: readonly unknown[],
    options: RequestOptions = {},
  ): Promise<unknown> {
    const found = (await this.currentRuntime()).method(api, method)
    if (found === undefined) return undefined
    const result = await this.request(
      'state_call',
      [found.name, found.encode(...args), at],
      options,
    )
    return found.decode(parse(z.string().regex(/^0x/), result, found.name))
  }

  /** The events of one block. */
  async events(at: string, options: RequestOptions = {}): Promise<readonly ChainEvent[]> {
    const runtime = await this.currentRuntime()
    const key = runtime.storage('System', 'Events')?.key()
    if (key === undefined) throw runtime.lacks('System.Events')
    const values = await this.#readKeys(at, [key], options)
    return runtime.decodeEvents(values.get(key) ?? null)
  }

  onHead(listener: (head: Head) => void): () => void {
    this.#headListeners.add(listener)
    return () => this.#headListeners.delete(listener)
  }

  onClose(listener: (error: ChainError) => void): void {
    this.#transport.onClose(listener)
  }

  async close(): Promise<void> {
    this.#headListeners.clear()
    await this.#runtime.close().catch(() => undefined)
    this.#transport.close()
  }

  async #watch(signal: AbortSignal | undefined): Promise<void> {
    const options = signal === undefined ? {} : { signal }
    await this.#transport.subscribe(
      'chain_subscribeNewHead',
      [],
      (raw) => this.#onRawHead(raw),
      options,
    )
    await this.#transport.subscribe(
      'state_subscribeRuntimeVersion',
      [],
      (raw) => this.#onVersion(raw),
      options,
    )
  }

  #onRawHead(raw: unknown): void {
    const header = rawHeader.safeParse(raw)
    if (!header.success) return
    let hash: string
    try {
      hash = this.#runtime.registry.createTypeUnsafe<Header>('Header', [raw]).hash.toHex()
    } catch {
      // Thrown from a socket's event it would end the process; the watchdog asks for the head anyway.
      return
    }
    this.#announce({ number: toBlockNumber(Number(header.data.number)), hash })
  }

  #announce(head: Head): void {
    if (head.hash === this.#head.hash) return
    this.#head = head
    for (const listener of this.#headListeners) listener(head)
  }

  #onVersion(raw: unknown): void {
    const notice = versionNotice.safeParse(raw)
    if (!notice.success || notice.data.specVersion === this.#runtime.specVersion) return
    this.#upgrade = this.#upgrade.then(() => this.#loadRuntime(notice.data.specVersion))
  }

  async #loadRuntime(specVersion: number): Promise<void> {
    const old = this.#runtime
    if (old.specVersion === specVersion) return
    const { log } = this.#options
    try {
      this.#runtime = await Runtime.load(this.#transport, this.#options.metadata)
      await old.close()
      log.info(
        { event: 'runtime.upgraded', from: old.specVersion, to: this.#runtime.specVersion },
        'the chain upgraded its runtime; its metadata was read again',
      )
    } catch (error) {
      // Without the new metadata nothing on this connection can be trusted: leave it.
      log.warn(
        { event: 'runtime.failed', specVersion, reason: describeError(error) },
        'the metadata of an upgraded runtime could not be read; leaving the endpoint',
      )
      this.#transport.close()
    }
  }

  async #readKeys(
    at: string,
    keys: readonly string[],
    options: RequestOptions,
  ): Promise<Map<string, string | null>> {
    const chunks: string[][] = []
    for (let i = 0; i < keys.length; i += KEYS_PER_REQUEST) {
      chunks.push(keys.slice(i, i + KEYS_PER_REQUEST))
    }
    const answers = await Promise.all(
      chunks.map((chunk) => this.request('state_queryStorageAt', [chunk, at], options)),
    )
    return new Map(
      answers
        .flatMap((answer) => parse(changes, answer, 'state_queryStorageAt'))
        .flatMap((set) => set.changes),
    )
  }
}

async function readHead(
  transport: Transport,
  signal?: AbortSignal,
  timeoutMs?: number,
): Promise<Head> {
  const options = {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
  const at = parse(hash, await transport.request('chain_getBlockHash', [], options), 'head')
  const header = parse(
    rawHeader,
    await transport.request('chain_getHeader', [at], options),
    'header',
  )
  return { number: toBlockNumber(Number(header.number)) as BlockNumber, hash: at }
}

function blockTimeOf(runtime: Runtime): number {
  const slot = Number(runtime.constant('Aura', 'SlotDuration'))
  if (slot > 0) return slot
  const minimumPeriod = Number(runtime.constant('Timestamp', 'MinimumPeriod'))
  return minimumPeriod > 0 ? minimumPeriod * 2 : DEFAULT_BLOCK_TIME_MS
}

/** Parses what a node answered. @throws ChainError CHAIN_MALFORMED */
export function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ChainError(
    { code: 'CHAIN_MALFORMED', what },
    `${what} as the node sent it has another shape than expected: ${parsed.error.issues[0]?.message ?? ''}`,
  )
}
