import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../lib/secret.js'

/** How long a credential opens the live view of its job, in seconds. */
export const CREDENTIAL_SECONDS = 3_600
/** A clock that was set back must not make a credential of now one of the future. */
const AHEAD_SECONDS = 60

const FORM = /^([0-9a-f]{64}):(\d{1,12}):([0-9a-f]{32})$/

/**
 * What opens the live view of one job: base64 of `job:issued:mac`, as subnet 99 forms it. Its key is
 * secret and never leaves this machine; with the reference's, the miner's public address, anybody
 * could make one.
 */
export class LiveCredentials {
  readonly #key: Secret<Uint8Array>

  constructor(key: Secret<Uint8Array>) {
    this.#key = key
  }

  issue(jobId: string, nowMs: number): string {
    const issued = String(Math.floor(nowMs / 1_000))
    return Buffer.from(`${jobId}:${issued}:${this.#mac(jobId, issued)}`).toString('base64url')
  }

  /** Whether `credential` was issued here, for this job, within the last hour. */
  verify(jobId: string, credential: string, nowMs: number): boolean {
    const [, job, issued, mac] = FORM.exec(Buffer.from(credential, 'base64url').toString()) ?? []
    if (job === undefined || issued === undefined || mac === undefined || job !== jobId)
      return false
    const expected = Buffer.from(this.#mac(job, issued))
    if (!timingSafeEqual(Buffer.from(mac), expected)) return false
    const ageSeconds = nowMs / 1_000 - Number(issued)
    return ageSeconds >= -AHEAD_SECONDS && ageSeconds < CREDENTIAL_SECONDS
  }

  #mac(jobId: string, issued: string): string {
    return createHmac('sha256', this.#key.reveal())
      .update(`subreel live/1\n${jobId}\n${issued}`)
      .digest('hex')
      .slice(0, 32)
  }
}
