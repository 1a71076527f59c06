import { refuse } from '../axon/index.js'
import { SubnetError } from '../lib/errors.js'
import { QueueError } from '../queue/index.js'
import { MinerError } from './errors.js'

/** A refusal as the caller gets it. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly retryAfterMs: number | undefined
}

/**
 * What a task that was not accepted is answered with: 429 and when to come back while there is no
 * room, 503 while the miner cannot work, 400 for what it never takes. Anything else is not a refusal.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof QueueError) {
    const { data, message } = error
    if (data.code === 'QUEUE_FULL' || data.code === 'QUEUE_LATE') {
      return { status: 429, message, retryAfterMs: data.retryAfterMs }
    }
    if (data.code === 'QUEUE_NO_WORKER') {
      return { status: 503, message, retryAfterMs: data.retryAfterMs }
    }
    if (data.code === 'QUEUE_UNAVAILABLE') {
      return { status: 503, message: 'the miner cannot take tasks now', retryAfterMs: 5_000 }
    }
  }
  if (error instanceof MinerError) {
    const { code } = error
    if (code === 'MINER_KIND_NOT_OFFERED' || code === 'MINER_BAD_TASK') {
      return { status: 400, message: error.message, retryAfterMs: undefined }
    }
  }
  return undefined
}

/** Turns what `work` throws into the refusal that the axon sends, where it is one. */
export async function refusing<T>(
  work: () => Promise<T>,
  onRefused: (code: string) => void,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const refusal = refusalOf(error)
    if (refusal === undefined) throw error
    onRefused(error instanceof SubnetError ? error.code : 'INTERNAL')
    const { status, message, retryAfterMs } = refusal
    throw refuse(status, message, retryAfterMs === undefined ? {} : { retryAfterMs })
  }
}
