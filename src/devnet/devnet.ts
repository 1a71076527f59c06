import { type Clock, SystemClock } from '../lib/clock.js'
import { isAbort } from '../lib/errors.js'
import { type Logger, silentLog } from '../lib/log.js'
import { DevChain } from './chain.js'
import type { DrandOptions } from './drand/beacon.js'
import { DevnetError } from './errors.js'
import { type FaultState, type Faults, noFaults, takeTurn } from './faults.js'
import { DEV_ACCOUNTS, type GenesisOptions, type GenesisSubnet, writeGenesis } from './genesis.js'
import { loadSnapshot, Saver } from './persist.js'
import { controlMethods } from './rpc/control.js'
import { RpcError } from './rpc/json-rpc.js'
import { nodeMethods, type RpcMethod } from './rpc/methods.js'
import { RpcServer } from './rpc/server.js'
import type { RuntimeModel, RuntimeOptions } from './runtime/runtime.js'
import { fromHex } from './scale/bytes.js'

/** When blocks are made: on a clock, at once for each extrinsic, or only by `advance`. */
export type BlockMode = { readonly everyMs: number } | 'instant' | 'manual'

export interface DevnetOptions {
  /** Default 127.0.0.1: the control methods make this a node for one machine. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Default `{ everyMs: 12000 }`. */
  readonly blocks?: BlockMode
  /** The runtime to be: 425 (default), 393, or 218 from before typed runtime APIs. */
  readonly runtime?: RuntimeModel | RuntimeOptions
  /** Free balances in whole TAO by ss58 address or URI; a million for each of //Alice … //Ferdie. */
  readonly accounts?: GenesisOptions['accounts']
  /** Default: subnet 1 with `DEV_SUBNET`'s hyperparameters. */
  readonly subnets?: readonly GenesisSubnet[]
  readonly stakeThreshold?: number
  /** Blocks that finality stays behind the head; default 0. */
  readonly finalityLag?: number
  /**
   * Where round signatures come from: the node's own development beacon, by the `clock` (default
   * for blocks on a clock) or `eager` (default otherwise), or a foreign key with known signatures.
   */
  readonly drand?: DrandOptions
  /** Keeps the chain in this file, and goes on from it when it exists. In memory unless given. */
  readonly stateFile?: string
  readonly clock?: Clock
  readonly log?: Logger
}

/** Subnet 1 as it is unless options say otherwise: short epochs, weights in the open. */
export const DEV_SUBNET: GenesisSubnet = {
  netuid: 1,
  hyperparameters: {
    tempo: 20,
    minAllowedWeights: 1,
    weightsRateLimit: 10,
    commitReveal: false,
    immunityPeriod: 100,
    servingRateLimit: 5,
  },
}

/** What a test or the demo holds of a running node. */
export interface Devnet {
  /** `ws://127.0.0.1:PORT`. */
  readonly url: string
  /** Head of the chain that the state file held; `undefined` for a new one. */
  readonly resumedAt: number | undefined
  /** The chain behind the socket, for reading and for what no client may do. */
  readonly chain: DevChain
  readonly faults: Faults
  /** Makes `count` blocks now, 1 unless given; returns the head's number. */
  advance(count?: number): number
  /** Raw storage written into the next block; `undefined` removes. Keys and values are 0x hex. */
  setStorage(key: string, value: string | undefined): void
  close(): Promise<void>
}

const toRuntime = (runtime: RuntimeModel | RuntimeOptions): RuntimeOptions =>
  typeof runtime === 'number' ? { model: runtime } : runtime

/**
 * Starts a local chain on a free port.
 *
 * @example
 *     const devnet = await startDevnet({ blocks: 'manual' })
 *     devnet.advance(3)
 *     await devnet.close()
 */
export async function startDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const clock = options.clock ?? new SystemClock()
  const log = options.log ?? silentLog()
  const blocks = options.blocks ?? { everyMs: 12_000 }
  if (typeof blocks === 'object' && !(blocks.everyMs >= 1)) {
    throw new DevnetError(
      { code: 'DEVNET_OPTION_INVALID', option: 'blocks' },
      `block time must be at least 1 ms, got ${blocks.everyMs}`,
    )
  }
  const faultState = noFaults()
  const withSlot = (runtime: RuntimeOptions): RuntimeOptions =>
    typeof blocks === 'object' ? { slotMs: Math.ceil(blocks.everyMs), ...runtime } : runtime
  const restore =
    options.stateFile === undefined ? undefined : await loadSnapshot(options.stateFile)
  const chain = new DevChain({
    ...(restore === undefined ? {} : { restore }),
    clock,
    runtime: withSlot(toRuntime(options.runtime ?? 425)),
    finalityLag: options.finalityLag ?? 0,
    drand: options.drand ?? (typeof blocks === 'object' ? 'clock' : 'eager'),
    genesis: (context) =>
      writeGenesis(context, {
        accounts:
          options.accounts ?? Object.fromEntries(DEV_ACCOUNTS.map((name) => [name, 1_000_000])),
        subnets: options.subnets ?? [DEV_SUBNET],
        ...(options.stakeThreshold === undefined ? {} : { stakeThreshold: options.stakeThreshold }),
      }),
  })
  chain.scripted = ({ extrinsic }) =>
    takeTurn(
      faultState.refuseCalls,
      ({ call }) => call === undefined || call === extrinsic.call.name,
    )?.error

  const saver =
    options.stateFile === undefined
      ? undefined
      : new Saver(
          options.stateFile,
          clock,
          () => chain.snapshot(),
          (error) => {
            log.error({ event: 'devnet-state.failed', error }, 'the chain could not be saved')
          },
        )
  chain.onHead(({ number, hash, extrinsics }) => {
    saver?.touch()
    log.debug({ event: 'block.sealed', number, hash, extrinsics: extrinsics.length }, 'new block')
  })

  const advance = (count = 1): number => {
    for (let i = 0; i < count; i += 1) chain.seal()
    return chain.head.number
  }
  const upgrade = (runtime: RuntimeOptions): void => void chain.upgrade(withSlot(runtime))
  const faults = makeFaults(faultState, chain, upgrade, () => server.dropAll())
  const setStorage = (key: string, value: string | undefined): void =>
    chain.setStorage(key.slice(2).toLowerCase(), value === undefined ? undefined : fromHex(value))
  const methods = withSubmissionFaults(nodeMethods(chain), faultState, () => {
    if (blocks === 'instant') setImmediate(() => chain.seal())
  })
  const server = new RpcServer({
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    methods: { ...methods, ...controlMethods({ advance, setStorage, faults }) },
    faults: faultState,
    clock,
    log,
  })
  const resumedAt = restore === undefined ? undefined : chain.head.number
  await saver?.save()
  await server.listen()

  const stop = new AbortController()
  const ticking =
    typeof blocks === 'object'
      ? tick(blocks.everyMs, clock, stop.signal, () => {
          if (!faultState.stalled) chain.seal()
        })
      : Promise.resolve()
  return {
    url: server.url,
    resumedAt,
    chain,
    faults,
    advance,
    setStorage,
    async close() {
      stop.abort()
      await ticking
      await server.close()
      await saver?.close()
    },
  }
}

async function tick(
  everyMs: number,
  clock: Clock,
  signal: AbortSignal,
  seal: () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(everyMs, signal)
    } catch (error) {
      if (isAbort(error)) return
      throw error
    }
    seal()
  }
}

function makeFaults(
  state: FaultState,
  chain: DevChain,
  upgrade: (runtime: RuntimeOptions) => void,
  dropAll: () => void,
): Faults {
  return {
    drop: dropAll,
    stall: (on = true) => {
      state.stalled = on
    },
    blackhole: (on = true) => {
      state.blackholed = on
    },
    delay: (ms) => {
      state.delayMs = ms
    },
    fork: (depth) => chain.fork(depth),
    upgrade: (runtime) => upgrade(toRuntime(runtime)),
    refuseHandshakes: (times, status = 429) => {
      state.refuseHandshakes = { times, status }
    },
    refuseCalls: (error, { call, times = 1 } = {}) => {
      if (!chain.runtime.hasError('SubtensorModule', error)) {
        throw new DevnetError(
          { code: 'DEVNET_OPTION_INVALID', option: 'error' },
          `runtime ${chain.runtime.model} has no error SubtensorModule.${error}`,
        )
      }
      state.refuseCalls.push({ error, call, times })
    },
    refuseSubmissions: ({ code, message, data, times = 1 }) => {
      state.refuseSubmissions.push({ code, message, data, times })
    },
    clear: () => void Object.assign(state, noFaults()),
  }
}

/** Submissions meet the scripted refusals first; an accepted one calls `accepted`. */
function withSubmissionFaults(
  methods: Record<string, RpcMethod>,
  state: FaultState,
  accepted: () => void,
): Record<string, RpcMethod> {
  const wrapped = { ...methods }
  for (const name of ['author_submitExtrinsic', 'author_submitAndWatchExtrinsic']) {
    const method = methods[name]
    if (method === undefined) continue
    wrapped[name] = (params, connection) => {
      const refusal = takeTurn(state.refuseSubmissions, () => true)
      if (refusal !== undefined) throw new RpcError(refusal.code, refusal.message, refusal.data)
      const answer = method(params, connection)
      accepted()
      return answer
    }
  }
  return wrapped
}
