import { z } from 'zod'
import { isAbort, SubnetError } from '../../lib/errors.js'
import { StorageError } from '../errors.js'

const sdkError = z.object({
  name: z.string().optional(),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).optional(),
})

const SKEW = new Set(['RequestTimeTooSkewed', 'RequestExpired'])
/** The body broke on its way: another try may fare better. */
const TRANSIENT = new Set([
  'BadDigest',
  'IncompleteBody',
  'RequestTimeout',
  'SlowDown',
  'XAmzContentSHA256Mismatch',
])

/** What an S3 call's failure means: our code, and whether trying again can help. */
export function classifyS3(
  error: unknown,
  about: { readonly operation: string; readonly bucket: string; readonly key?: string },
): unknown {
  if (error instanceof SubnetError || isAbort(error)) return error
  const { operation, bucket } = about
  const parsed = sdkError.safeParse(error)
  const name = parsed.data?.name ?? ''
  const status = parsed.data?.$metadata?.httpStatusCode
  const text = error instanceof Error ? error.message : String(error)
  if (name === 'NoSuchBucket') {
    return new StorageError(
      { code: 'STORAGE_BUCKET_MISSING', bucket },
      `bucket ${bucket} does not exist at this endpoint and region`,
      { cause: error },
    )
  }
  if (SKEW.has(name)) {
    return new StorageError(
      { code: 'STORAGE_CLOCK_SKEW', operation },
      'the store says that this machine clock is off: correct it',
      { cause: error },
    )
  }
  const transient = status === undefined || status >= 500 || status === 429 || TRANSIENT.has(name)
  if (transient) {
    return new StorageError(
      { code: 'STORAGE_UNAVAILABLE', operation, status },
      `the store failed on ${operation}: ${name === '' ? text : name}`,
      { cause: error, retryable: true },
    )
  }
  if (status === 404) {
    return new StorageError(
      { code: 'STORAGE_NOT_FOUND', key: about.key ?? '' },
      'no object has this key',
      {
        cause: error,
      },
    )
  }
  if (status === 403 || status === 401) {
    return new StorageError(
      { code: 'STORAGE_DENIED', operation },
      `the store denies ${operation} (${name}): check keys, policy and region`,
      { cause: error },
    )
  }
  return new StorageError(
    { code: 'STORAGE_REFUSED', operation, status },
    `the store refused ${operation}: ${name} ${text}`,
    { cause: error },
  )
}
