import { z } from 'zod'
import { type Clock, SystemClock } from '../lib/clock.js'
import { type Logger, silentLog } from '../lib/log.js'
import { type Rng, SystemRng } from '../lib/rng.js'
import { toRao, toUid, type Uid } from '../protocol/units.js'
import { decodeAddress } from '../wallet/index.js'
import { Connection, type ConnectOptions, parse } from './connection.js'
import { blocksUntilNextEpoch, epochIndex } from './epoch.js'
import { readHyperparameters, readSchedule } from './hyperparameters.js'
import { MemoryWeightLedger, type WeightLedger } from './ledger.js'
import type { MetadataCache } from './metadata.js'
import { readMetagraph } from './metagraph.js'
import type { ChainMetrics } from './metrics.js'
import { register } from './register.js'
import { serveAxon } from './serve.js'
import { Session } from './session.js'
import { Submitter } from './submit.js'
import type { CallOptions, Chain, Head } from './types.js'
import { Uplink, type UplinkOptions } from './uplink.js'
import { bigUint, uint } from './values.js'
import { WeightSetter } from './weights.js'

/**
 * bittensor 10.5.0 as a number, what its validators send as version key: the vectors are prepared as
 * that version does.
 */
export const SDK_WEIGHTS_VERSION = 10_005_000n

export interface ChainOptions {
  /** ws:// and wss:// URLs of one network, in order of preference. */
  readonly endpoints: readonly string[]
  /** Refuse a network with another genesis. */
  readonly genesisHash?: string
  /** Where weights and salts are kept. Default: memory, which forgets them with the process. */
  readonly ledger?: WeightLedger
  /** Sent with weights; a subnet refuses one below its own. Default: what bittensor 10.5.0 sends. */
  readonly weightsVersion?: bigint
  readonly clock?: Clock
  readonly rng?: Rng
  readonly log?: Logger
  readonly metrics?: ChainMetrics
  /** Deadlines in milliseconds: opening a connection (20 s), one request (15 s), one operation (60 s). */
  readonly connectTimeoutMs?: number
  readonly requestTimeoutMs?: number
  readonly operationTimeoutMs?: number
  /** Leave an endpoint after this long without a new head. Default: three block times. */
  readonly stallMs?: number
  /** Overrides the block time that the runtime states. */
  readonly blockTimeMs?: number
  readonly backoff?: UplinkOptions<Connection>['backoff']
  readonly openTransport?: ConnectOptions['openTransport']
}

const row = z.array(z.tuple([uint, uint]))
const account = z.looseObject({ data: z.looseObject({ free: bigUint }) })

/**
 * A chain client. Returns at once; it connects at the first call, moves between the endpoints as they
 * fail, and each call ends within its deadline.
 *
 * @example
 *     const chain = createChain({ endpoints: ['wss://entrypoint-finney.opentensor.ai:443'] })
 *     const { neurons } = await chain.metagraph(toNetuid(18))
 *     await chain.close()
 */
export function createChain(options: ChainOptions): Chain {
  const clock = options.clock ?? new SystemClock()
  const rng = options.rng ?? new SystemRng()
  const log = options.log ?? silentLog()
  const { metrics } = options
  const connectTimeoutMs = options.connectTimeoutMs ?? 20_000
  const requestTimeoutMs = options.requestTimeoutMs ?? 15_000
  const metadata: MetadataCache = new Map()
  const uplink = new Uplink<Connection>({
    endpoints: options.endpoints,
    clock,
    rng,
    log,
    ...(metrics === undefined ? {} : { metrics }),
    ...(options.genesisHash === undefined ? {} : { genesisHash: options.genesisHash }),
    ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    ...(options.backoff === undefined ? {} : { backoff: options.backoff }),
    connect: (endpoint, signal) =>
      Connection.open(endpoint, {
        clock,
        log,
        connectTimeoutMs,
        requestTimeoutMs,
        metadata,
        signal,
        ...(options.blockTimeMs === undefined ? {} : { blockTimeMs: options.blockTimeMs }),
        ...(options.openTransport === undefined ? {} : { openTransport: options.openTransport }),
      }),
  })
  const session = new Session({
    uplink,
    clock,
    log,
    operationTimeoutMs: options.operationTimeoutMs ?? 60_000,
  })
  const submitter = new Submitter({ session, ...(metrics === undefined ? {} : { metrics }) })
  let startedAt: number | undefined
  const noteStart = (head: Head) => {
    startedAt ??= head.number
    return head
  }
  const setter = new WeightSetter({
    session,
    submitter,
    ledger: options.ledger ?? new MemoryWeightLedger(),
    rng,
    log,
    versionKey: options.weightsVersion ?? SDK_WEIGHTS_VERSION,
    startedAt: () => startedAt ?? 0,
    ...(metrics === undefined ? {} : { metrics }),
  })
  const read = <T>(
    what: string,
    call: CallOptions,
    task: (link: Connection, head: Head, request: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> =>
    session.read(what, call, (link, signal) => task(link, noteStart(link.head), { signal }))

  return {
    head: (call = {}) => read('head', call, async (_link, head) => head),
    blockHash: (block, call = {}) =>
      read('block hash', call, (link, _head, request) => link.blockHash(block, request)),
    metagraph: (netuid, call = {}) =>
      read('metagraph', call, (link, head, request) =>
        readMetagraph(link, netuid, head, log, request),
      ),
    hyperparameters: (netuid, call = {}) =>
      read('hyperparameters', call, (link, head, request) =>
        readHyperparameters(link, netuid, head, request),
      ),
    epoch: (netuid, call = {}) =>
      read('epoch', call, async (link, head, request) => {
        const schedule = await readSchedule(link, netuid, head, request)
        return {
          block: head.number,
          index: epochIndex(schedule, head.number),
          blocksUntilNext: blocksUntilNextEpoch(schedule, head.number),
          blockTimeMs: link.blockTimeMs,
        }
      }),
    weights: (netuid, uid, call = {}) =>
      read('weights', call, async (link, head, request) => {
        const wanted = { row: ['SubtensorModule', 'Weights', netuid, uid] } as const
        const { row: stored } = await link.read(head.hash, wanted, request)
        const pairs = parse(row, stored, 'the weights')
        return new Map(pairs.map(([to, value]): [Uid, number] => [toUid(to), value]))
      }),
    balance: async (address, call = {}) => {
      const key = decodeAddress(address)
      return read('balance', call, async (link, head, request) => {
        const wanted = { account: ['System', 'Account', key] } as const
        const stored = await link.read(head.hash, wanted, request)
        return toRao(parse(account, stored.account, 'the account').data.free)
      })
    },
    serveAxon: (signer, request, call = {}) => serveAxon(session, submitter, signer, request, call),
    setWeights: async (signer, request, call = {}) => {
      await read('head', call, async (_link, head) => head)
      return setter.set(signer, request, call)
    },
    revealWeights: (signer, request, call = {}) => setter.reveal(signer, request, call),
    register: (coldkey, request, call = {}) => register(session, submitter, coldkey, request, call),
    watchHeads: (onHead) => {
      const off = session.onHead((head) => onHead(noteStart(head)))
      return { close: off }
    },
    close: () => session.close(),
  }
}
