import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Clock } from '../lib/clock.js'
import { SubnetError } from '../lib/errors.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import { type RetryPolicy, retry } from '../lib/retry.js'
import type { Rng } from '../lib/rng.js'
import { StorageError } from './errors.js'
import { contentTypeOf } from './keys.js'

/** Three tries five seconds apart, each up to three minutes: what validators of subnet 99 expect. */
const UPLOAD: RetryPolicy = { attempts: 3, baseMs: 5_000, maxMs: 5_000, jitter: 0 }
const UPLOAD_TIMEOUT_MS = 180_000
const TAKEN = new Set([200, 201, 204])

export interface UploadModules {
  readonly fetcher: GuardedFetcher
  readonly clock: Clock
  readonly rng: Rng
  readonly policy?: RetryPolicy
}

/**
 * PUTs a file to a URL that a peer gave; the URL is checked like any of a peer.
 * @throws StorageError STORAGE_UPLOAD_FAILED, FetchError for a URL that may not be used
 */
export async function putToUrl(
  url: string,
  path: string,
  modules: UploadModules,
  signal?: AbortSignal,
): Promise<void> {
  const { size } = await stat(path)
  const context = { ...modules, ...(signal === undefined ? {} : { signal }) }
  await retry(modules.policy ?? UPLOAD, context, async () => {
    const body = createReadStream(path)
    try {
      const response = await modules.fetcher.fetch(url, {
        method: 'PUT',
        body,
        headers: { 'content-length': String(size), 'content-type': contentTypeOf(path) },
        timeoutMs: UPLOAD_TIMEOUT_MS,
        maxBytes: 65_536,
        ...(signal === undefined ? {} : { signal }),
      })
      response.body.destroy()
      if (TAKEN.has(response.status)) return
      throw new StorageError(
        { code: 'STORAGE_UPLOAD_FAILED', status: response.status },
        `the upload URL answered ${response.status}`,
        { retryable: response.status >= 500 || response.status === 429 || response.status === 408 },
      )
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof StorageError) throw cause
      const retryable = !(cause instanceof SubnetError) || cause.retryable
      throw new StorageError(
        { code: 'STORAGE_UPLOAD_FAILED', status: undefined },
        'the upload URL did not take the file',
        { cause, retryable },
      )
    } finally {
      body.destroy()
    }
  })
}

/**
 * Fetches the first byte of a URL that this miner is about to announce and compares the size.
 * @throws StorageError STORAGE_UNREACHABLE
 */
export async function checkReachable(
  url: string,
  sizeBytes: number,
  fetcher: GuardedFetcher,
  signal?: AbortSignal,
): Promise<void> {
  const unreachable = (status: number | undefined, message: string, cause?: unknown) =>
    new StorageError({ code: 'STORAGE_UNREACHABLE', status }, message, { cause, retryable: true })
  let response: Awaited<ReturnType<GuardedFetcher['fetch']>>
  try {
    response = await fetcher.fetch(url, {
      // A URL signed for GET does not allow HEAD on S3.
      headers: { range: 'bytes=0-0' },
      timeoutMs: 10_000,
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    throw unreachable(undefined, 'the result URL does not answer', cause)
  }
  response.body.destroy()
  const { status, headers } = response
  if (status !== 200 && status !== 206) {
    throw unreachable(status, `the result URL answers ${status}`)
  }
  const total = headers['content-range']?.split('/')[1] ?? headers['content-length']
  if (status === 206 && Number(total) !== sizeBytes) {
    throw unreachable(status, `the result URL has ${total ?? 'unknown'} bytes of ${sizeBytes}`)
  }
}
