import type { Clock } from '../lib/clock.js'
import { Deadline, deadline } from '../lib/clock.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import { type RetryPolicy, retry } from '../lib/retry.js'
import type { Rng } from '../lib/rng.js'
import { DEFAULT_EXPIRY_S, resultKey } from './keys.js'
import type { Schedule } from './retention.js'
import type { ObjectStore } from './types.js'
import { checkReachable } from './upload.js'

export interface DeliveryOptions {
  /** How long a result's URL works and the object lives, in seconds. Default 600. */
  readonly expirySeconds?: number
  /** How long the upload may take, in milliseconds. Default 180 s. */
  readonly putTimeoutMs?: number
  /** Fetch the URL once before it is announced. Default true. */
  readonly checkReachable?: boolean
}

export interface DeliveryModules {
  readonly store: ObjectStore
  readonly schedule: Pick<Schedule, 'schedule'>
  readonly clock: Clock
  readonly rng: Rng
  /** Reaches this miner's own URLs, private addresses included. */
  readonly fetcher: GuardedFetcher
}

/** A result that is stored, dated and reachable. */
export interface Delivered {
  readonly url: string
  readonly key: string
  /** Unix milliseconds; then the URL ends, and the object is deleted right after. */
  readonly expiresAtMs: number
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly sha256: string
}

/** An object outlives its URL by this, so that no URL that still works finds nothing, in milliseconds. */
const AFTERLIFE_MS = 2_000

/** How long the deletion of a result that was not reachable may take, in milliseconds. */
const DROP_MS = 5_000

const REACH: RetryPolicy = { attempts: 8, baseMs: 150, maxMs: 2_000 }

/**
 * Hands a result file to whoever gets the URL: its end is noted, then it is stored, signed for and
 * fetched once. The order matters: at no moment does an object exist whose end is not noted.
 */
export class Delivery {
  readonly #modules: DeliveryModules
  readonly #expirySeconds: number
  readonly #putTimeoutMs: number
  readonly #checkReachable: boolean

  constructor(options: DeliveryOptions, modules: DeliveryModules) {
    this.#modules = modules
    this.#expirySeconds = options.expirySeconds ?? DEFAULT_EXPIRY_S
    this.#putTimeoutMs = options.putTimeoutMs ?? 180_000
    this.#checkReachable = options.checkReachable ?? true
  }

  /** @throws StorageError */
  async deliver(
    file: { readonly path: string; readonly folder: string; readonly hotkey: string },
    signal: AbortSignal,
  ): Promise<Delivered> {
    const { store, schedule, clock, rng, fetcher } = this.#modules
    const extension = file.path.slice(file.path.lastIndexOf('.') + 1)
    const key = resultKey({ folder: file.folder, hotkey: file.hotkey, extension, rng })
    const lifeMs = this.#expirySeconds * 1_000
    // Should this process die during the upload, the object still goes at the latest moment it could
    // have been announced for.
    await schedule.schedule(key, clock.now() + this.#putTimeoutMs + lifeMs)
    using within = new Deadline(this.#putTimeoutMs, signal)
    const { sizeBytes, sha256 } = await store.putFile(key, file.path, { signal: within.signal })
    const expiresAtMs = clock.now() + lifeMs
    const url = await store.presignGet(key, this.#expirySeconds)
    if (this.#checkReachable) {
      const context = { clock, rng, signal }
      try {
        await retry(REACH, context, () => checkReachable(url, sizeBytes, fetcher, signal))
      } catch (error) {
        // Nobody will hear of it. Should this fail too, its end is noted.
        if (!signal.aborted) await store.delete(key, { signal: deadline(DROP_MS) }).catch(() => {})
        throw error
      }
    }
    await schedule.schedule(key, expiresAtMs + AFTERLIFE_MS)
    return { url, key, expiresAtMs, sizeBytes, sha256 }
  }
}
