import { SubnetError } from '../lib/errors.js'

/** What stores and uploads fail with. */
export class StorageError extends SubnetError<
  /** No object has this key; it never had or its time is over. */
  | { code: 'STORAGE_NOT_FOUND'; key: string }
  /** The store refuses the credentials or their rights; check keys, bucket policy and region. */
  | { code: 'STORAGE_DENIED'; operation: string }
  /** The bucket does not exist at this endpoint and region; create it or correct its name. */
  | { code: 'STORAGE_BUCKET_MISSING'; bucket: string }
  /** The store answers that this machine's clock is off; correct the clock. */
  | { code: 'STORAGE_CLOCK_SKEW'; operation: string }
  /** The store failed or did not answer, after all tries; it may be back later. */
  | { code: 'STORAGE_UNAVAILABLE'; operation: string; status: number | undefined }
  /** The store refused the request itself; the message says what it said. */
  | { code: 'STORAGE_REFUSED'; operation: string; status: number }
  /** An object's key is empty, too long or holds something other than plain path segments. */
  | { code: 'STORAGE_BAD_KEY'; key: string }
  /** A signed URL may live 1 to 604800 seconds; ask for a time within. */
  | { code: 'STORAGE_BAD_EXPIRY'; expiresInSeconds: number }
  /** What arrived in the store is not what was sent; the object was removed, upload it again. */
  | { code: 'STORAGE_CORRUPT'; key: string }
  /** Settings of the store are missing or contradict each other; the message names them. */
  | { code: 'STORAGE_CONFIG'; setting: string }
  /** The signing key's file can be read by others; restrict it to its owner (0600). */
  | { code: 'STORAGE_KEY_EXPOSED' }
  /** The result's URL does not answer with the object; check the public address, ports and the bucket's policy. */
  | { code: 'STORAGE_UNREACHABLE'; status: number | undefined }
  /** The URL that the caller gave did not take the upload. */
  | { code: 'STORAGE_UPLOAD_FAILED'; status: number | undefined }
> {}
