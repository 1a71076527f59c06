import type { FastifyInstance } from 'fastify'
import { type Clock, SystemClock } from '../lib/clock.js'
import { type Logger, silentLog } from '../lib/log.js'
import type { Registry } from '../lib/metrics.js'
import { BTAUTH_DEFAULTS, type BtauthPolicy, btauthRetentionS } from '../protocol/wire/btauth1.js'
import { type NoncePolicy, nonceWindowS, STRICT_NONCES } from '../protocol/wire/legacy.js'
import type { SignatureVerifier, Signer } from '../wallet/types.js'
import { inlineVerifier } from '../wallet/verifier.js'
import type { RateLimit } from './buckets.js'
import { AxonError } from './errors.js'
import { FLOOD_LIMITS, type FloodLimits } from './flood-guard.js'
import { MemoryNonceStore, type NonceStore } from './nonces.js'
import type { AccessPolicy, AxonRoute, Peers } from './types.js'

export interface ConnectionLimits {
  /** Open sockets in all, a quarter of them kept for callers that have been served. Default 4096. */
  readonly total: number
  /** Open sockets of one address. Default 256. */
  readonly perAddress: number
  /** Request heads, in bytes. Python's axon takes 64 KiB. Default 65536. */
  readonly headerBytes: number
  /** Bodies, in bytes. Default 1 MiB. */
  readonly bodyBytes: number
  /** For a whole request head to arrive, in milliseconds. Default 5000. */
  readonly headMs: number
  /** For a whole request to arrive, in milliseconds. Default 15000. */
  readonly requestMs: number
  /** A kept-alive socket may idle so long, in milliseconds. Default 20000. */
  readonly idleMs: number
}

export interface AxonOptions {
  /** Its hotkey is who this axon is. Only the address is used: answers are not signed. */
  readonly wallet: Pick<Signer, 'address'>
  readonly peers: Peers
  readonly synapses: readonly AxonRoute[]
  /** Default: anybody registered. */
  readonly access?: AccessPolicy
  /** What of the two protocols is spoken. Default both. */
  readonly protocols?: { readonly legacy?: boolean; readonly btauth?: boolean }
  /** Freshness of legacy requests. Default STRICT_NONCES. */
  readonly nonces?: NoncePolicy
  /** Freshness and receiver binding of btauth/1 requests. Default: 10 s, 2 s ahead, bound to us. */
  readonly btauth?: BtauthPolicy
  /**
   * Refuse legacy requests whose unsigned headers are incomplete or contradict the URL or this axon,
   * or whose body has another name, though Python's axon would not look. No SDK sends such.
   * Default true.
   */
  readonly strictHeaders?: boolean
  /**
   * Refuse legacy requests for synapses without `requiredHashFields`: nothing shows that their body is
   * what the caller signed. Most subnets' synapses are such. Default false.
   */
  readonly requireBodyHash?: boolean
  /**
   * Default: in memory, refusing what was signed before this start. That leaves open a replay, right
   * after a restart, of a caller whose clock is ahead of ours; RedisNonceStore does not.
   */
  readonly nonceStore?: NonceStore
  /** Default: in this thread. */
  readonly verifier?: SignatureVerifier
  /** Accepted requests of one hotkey. Default 20 a second, 100 at once. */
  readonly rateLimit?: RateLimit
  /** What of a flood of bad requests is looked at. Default FLOOD_LIMITS. */
  readonly floodLimits?: FloodLimits
  /** Handlers at once. Default 64. */
  readonly concurrency?: number
  /** Requests waiting for a handler. Default 256. */
  readonly queueLimit?: number
  /** From then on a waiting request is served ahead of greater stake now and then. Default 5000 ms. */
  readonly ageAfterMs?: number
  /** The longest a caller may ask a handler to work, in milliseconds. Default 600000. */
  readonly maxTimeoutMs?: number
  readonly connections?: Partial<ConnectionLimits>
  /** Adds routes of your own, e.g. `/objects/*`, beside the synapses. */
  readonly mount?: (app: FastifyInstance) => void
  readonly clock?: Clock
  readonly log?: Logger
  /** Where the axon's metrics are registered. Default: nowhere. */
  readonly registry?: Registry
}

/** The options with every default filled in. */
export type AxonSettings = ReturnType<typeof withDefaults>

const MAX_RETENTION_S = 3600
/** 250 ms: less than a process takes to start again, more than clocks of one machine differ. */
const START_GRACE_NS = 250_000_000n

/** How long a nonce could be accepted again under these policies, in milliseconds. */
export function nonceRetentionMs(
  nonces: NoncePolicy = STRICT_NONCES,
  btauth: BtauthPolicy = BTAUTH_DEFAULTS,
): number {
  const legacyS = nonceWindowS(nonces.maxTimeoutS, nonces) + nonces.maxAheadS
  return Math.min(MAX_RETENTION_S, Math.max(legacyS, btauthRetentionS(btauth))) * 1000
}

export function withDefaults(options: AxonOptions) {
  const clock = options.clock ?? new SystemClock()
  const nonces = options.nonces ?? STRICT_NONCES
  const btauth = options.btauth ?? BTAUTH_DEFAULTS
  const settings = {
    ownHotkey: options.wallet.address,
    peers: options.peers,
    synapses: options.synapses,
    access: options.access ?? {},
    protocols: { legacy: true, btauth: true, ...options.protocols },
    nonces,
    btauth,
    strictHeaders: options.strictHeaders ?? true,
    requireBodyHash: options.requireBodyHash ?? false,
    nonceStore:
      options.nonceStore ??
      new MemoryNonceStore({
        retentionMs: nonceRetentionMs(nonces, btauth),
        floor: clock.nowNs() - START_GRACE_NS,
      }),
    verifier: options.verifier ?? inlineVerifier,
    rateLimit: options.rateLimit ?? { perSecond: 20, burst: 100 },
    floodLimits: options.floodLimits ?? FLOOD_LIMITS,
    concurrency: positive('concurrency', options.concurrency ?? 64),
    queueLimit: positive('queueLimit', options.queueLimit ?? 256, 0),
    ageAfterMs: positive('ageAfterMs', options.ageAfterMs ?? 5000, 0),
    maxTimeoutMs: positive('maxTimeoutMs', options.maxTimeoutMs ?? 600_000),
    connections: {
      total: 4096,
      perAddress: 256,
      headerBytes: 65_536,
      bodyBytes: 1_048_576,
      headMs: 5000,
      requestMs: 15_000,
      idleMs: 20_000,
      ...options.connections,
    },
    mount: options.mount,
    clock,
    log: options.log ?? silentLog(),
    registry: options.registry,
  }
  for (const [name, value] of Object.entries(settings.connections)) {
    positive(`connections.${name}`, value)
  }
  return settings
}

function positive(option: string, value: number, least = 1): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new AxonError(
    { code: 'AXON_OPTION_INVALID', option },
    `${option} must be an integer of at least ${least}, got ${value}`,
  )
}
