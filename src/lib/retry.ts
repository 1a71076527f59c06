import type { Clock } from './clock.js'
import { isAbort, SubnetError } from './errors.js'
import type { Rng } from './rng.js'

/** When and how often to try again. A policy is data, so it can be logged, tested and configured. */
export interface RetryPolicy {
  /** Tries in all, the first included. At least 1. */
  readonly attempts: number
  /** Delay before the second try, in milliseconds. */
  readonly baseMs: number
  /** No delay is longer, in milliseconds. */
  readonly maxMs: number
  /** Growth per try. Default 2. */
  readonly factor?: number
  /** Share of each delay that is random, 0–1. Default 0.5: peers that fail together do not return together. */
  readonly jitter?: number
  /** Which failures may be retried. Default: errors that say so of themselves. */
  readonly retryable?: (error: unknown) => boolean
}

/** Delay in milliseconds before try `attempt` + 1 (`attempt` counts from 1); `random` in [0, 1). */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const full = Math.min(policy.maxMs, policy.baseMs * (policy.factor ?? 2) ** (attempt - 1))
  const jitter = policy.jitter ?? 0.5
  return full * (1 - jitter) + full * jitter * random
}

/** True when an error declares that the same call may succeed later. */
export function isRetryable(error: unknown): boolean {
  return error instanceof SubnetError && error.retryable
}

export interface RetryContext {
  readonly clock: Clock
  readonly rng: Rng
  readonly signal?: AbortSignal
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void
}

/** Runs `task` under the policy; throws its last error. An abort ends the waiting at once. */
export async function retry<T>(
  policy: RetryPolicy,
  context: RetryContext,
  task: (attempt: number) => Promise<T>,
): Promise<T> {
  const mayRetry = policy.retryable ?? isRetryable
  for (let attempt = 1; ; attempt += 1) {
    context.signal?.throwIfAborted()
    try {
      return await task(attempt)
    } catch (error) {
      if (isAbort(error) || attempt >= policy.attempts || !mayRetry(error)) throw error
      const delayMs = retryDelayMs(policy, attempt, context.rng.float())
      context.onRetry?.(error, attempt, delayMs)
      await context.clock.sleep(delayMs, context.signal)
    }
  }
}
