import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { addAbortSignal, Readable } from 'node:stream'
import type * as Sdk from '@aws-sdk/client-s3'
import type * as Presigner from '@aws-sdk/s3-request-presigner'
import { type Clock, Deadline } from '../../lib/clock.js'
import { isAbort, must } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import { mapLimit } from '../../lib/loop.js'
import { type RetryPolicy, retry } from '../../lib/retry.js'
import type { Rng } from '../../lib/rng.js'
import { StorageError } from '../errors.js'
import { hashFile } from '../file-hash.js'
import { checkExpiry, checkKey, contentTypeOf } from '../keys.js'
import type { StorageMetrics } from '../metrics.js'
import type { ObjectStore, PutOptions, StoredObject } from '../types.js'
import { classifyS3 } from './classify.js'
import type { S3Options } from './options.js'

export interface S3StoreModules {
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
  readonly metrics?: StorageMetrics
}

/** With three calls in ten failing, eight tries lose one call in fifteen thousand. */
const RETRY: RetryPolicy = { attempts: 8, baseMs: 150, maxMs: 5_000, jitter: 0.8 }
const PART_BYTES = 8 * 1024 * 1024
const DELETE_BATCH = 1_000

/**
 * An S3 bucket. Retries are ours, not the SDK's: it cannot replay a stream, and one policy with
 * jitter serves all calls. Bodies are buffers with their MD5, so that a part broken on its way is
 * refused and sent again; a multipart upload that fails is aborted and leaves nothing behind.
 */
export class S3Store implements ObjectStore {
  readonly kind = 's3'
  readonly #options: S3Options
  readonly #modules: S3StoreModules
  readonly #sdk: typeof Sdk
  readonly #presigner: typeof Presigner
  readonly #client: Sdk.S3Client

  private constructor(
    options: S3Options,
    modules: S3StoreModules,
    sdk: typeof Sdk,
    presigner: typeof Presigner,
  ) {
    this.#options = options
    this.#modules = modules
    this.#sdk = sdk
    this.#presigner = presigner
    const timeoutMs = options.requestTimeoutMs ?? 60_000
    this.#client = new sdk.S3Client({
      region: options.region,
      ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
      forcePathStyle: options.pathStyle,
      credentials: {
        accessKeyId: options.accessKey.reveal(),
        secretAccessKey: options.secretKey.reveal(),
      },
      maxAttempts: 1,
      // The SDK's default puts the CRC32 of an empty body into presigned PUT URLs, which strict
      // servers then refuse as a bad digest.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // The deadline of a call ends with the answer's head: this one watches over its body.
      requestHandler: { connectionTimeout: 5_000, socketTimeout: timeoutMs },
    })
  }

  /** Loads the SDK, which takes time and memory that a miner without a bucket does not spend. */
  static async open(options: S3Options, modules: S3StoreModules): Promise<S3Store> {
    const [sdk, presigner] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@aws-sdk/s3-request-presigner'),
    ])
    return new S3Store(options, modules, sdk, presigner)
  }

  /** Asks for the bucket once, without retries. @throws StorageError when it cannot be used */
  async check(signal?: AbortSignal): Promise<void> {
    const { bucket } = this.#options
    using limit = this.#deadline(signal)
    try {
      await this.#client.send(new this.#sdk.ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }), {
        abortSignal: limit.signal,
      })
    } catch (error) {
      throw classifyS3(error, { operation: 'ListObjectsV2', bucket })
    }
  }

  async putFile(key: string, path: string, options: PutOptions = {}): Promise<StoredObject> {
    checkKey(key)
    const { signal } = options
    const facts = await hashFile(path, signal)
    const file = await open(path, 'r')
    const head = {
      Bucket: this.#options.bucket,
      Key: key,
      ContentType: options.contentType ?? contentTypeOf(key),
      Metadata: { sha256: facts.sha256 },
    }
    try {
      const partBytes = this.#options.partSizeBytes ?? PART_BYTES
      if (facts.sizeBytes <= partBytes) {
        const body = await readAt(file, 0, facts.sizeBytes)
        await this.#call('PutObject', key, signal, (abortSignal) =>
          this.#client.send(
            new this.#sdk.PutObjectCommand({ ...head, Body: body, ContentMD5: md5(body) }),
            { abortSignal },
          ),
        )
      } else {
        await this.#putParts(head, file, facts.sizeBytes, partBytes, signal)
      }
    } finally {
      await file.close()
    }
    await this.#confirm(key, facts, signal)
    return { key, ...facts }
  }

  async get(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<Readable> {
    checkKey(key)
    const { bucket } = this.#options
    const reply = await this.#call('GetObject', key, options.signal, (abortSignal) =>
      this.#client.send(new this.#sdk.GetObjectCommand({ Bucket: bucket, Key: key }), {
        abortSignal,
      }),
    )
    const { Body: body } = reply
    if (body instanceof Readable) {
      return options.signal === undefined ? body : addAbortSignal(options.signal, body)
    }
    throw new StorageError({ code: 'STORAGE_NOT_FOUND', key }, 'the store gave no body')
  }

  async delete(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkKey(key)
    const { bucket } = this.#options
    try {
      await this.#call('DeleteObject', key, options.signal, (abortSignal) =>
        this.#client.send(new this.#sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), {
          abortSignal,
        }),
      )
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'STORAGE_NOT_FOUND')) throw error
    }
  }

  async *list(
    prefix: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<{ key: string; sizeBytes: number; modifiedMs: number }> {
    const { bucket } = this.#options
    let token: string | undefined
    do {
      const page: Sdk.ListObjectsV2CommandOutput = await this.#call(
        'ListObjectsV2',
        prefix,
        options.signal,
        (abortSignal) =>
          this.#client.send(
            new this.#sdk.ListObjectsV2Command({
              Bucket: bucket,
              Prefix: prefix,
              MaxKeys: DELETE_BATCH,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
            { abortSignal },
          ),
      )
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined) continue
        yield { key: Key, sizeBytes: Size ?? 0, modifiedMs: LastModified?.getTime() ?? 0 }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  async presignGet(key: string, expiresInSeconds: number): Promise<string> {
    return this.#presign(
      new this.#sdk.GetObjectCommand({ Bucket: this.#options.bucket, Key: checkKey(key) }),
      expiresInSeconds,
    )
  }

  async presignPut(key: string, expiresInSeconds: number): Promise<string> {
    return this.#presign(
      new this.#sdk.PutObjectCommand({ Bucket: this.#options.bucket, Key: checkKey(key) }),
      expiresInSeconds,
    )
  }

  /** Aborts multipart uploads below `prefix` begun before `beforeMs`: a killed process left them. */
  async abortStaleUploads(prefix: string, beforeMs: number, signal?: AbortSignal): Promise<number> {
    const stale = await this.#unfinished(prefix, beforeMs, signal)
    for (const { key, id } of stale) await this.#abort(key, id)
    return stale.length
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  async #putParts(
    head: { Bucket: string; Key: string; ContentType: string; Metadata: Record<string, string> },
    file: FileHandle,
    sizeBytes: number,
    partBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { Bucket, Key } = head
    let creations = 0
    try {
      const { UploadId } = await this.#call('CreateMultipartUpload', Key, signal, (abortSignal) => {
        creations += 1
        return this.#client.send(new this.#sdk.CreateMultipartUploadCommand(head), { abortSignal })
      })
      const upload = { Bucket, Key, UploadId: must(UploadId, 'upload id') }
      await this.#sendParts(upload, file, sizeBytes, partBytes, signal)
    } finally {
      // A try whose answer was lost made an upload that nobody knows of.
      if (creations > 1) await this.#abortAll(Key)
    }
  }

  async #sendParts(
    { Bucket, Key, UploadId }: { Bucket: string; Key: string; UploadId: string },
    file: FileHandle,
    sizeBytes: number,
    partBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const failed = new AbortController()
    const partSignal = AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])])
    try {
      const numbers = Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, n) => n + 1)
      const parts = await mapLimit(
        numbers,
        this.#options.concurrentParts ?? 3,
        async (PartNumber) => {
          const start = (PartNumber - 1) * partBytes
          const body = await readAt(file, start, Math.min(partBytes, sizeBytes - start))
          try {
            const { ETag } = await this.#call('UploadPart', Key, partSignal, (abortSignal) =>
              this.#client.send(
                new this.#sdk.UploadPartCommand({
                  ...{ Bucket, Key, UploadId, PartNumber },
                  Body: body,
                  ContentMD5: md5(body),
                }),
                { abortSignal },
              ),
            )
            return { ETag, PartNumber }
          } catch (error) {
            failed.abort(error)
            throw error
          }
        },
      )
      await this.#complete({ Bucket, Key, UploadId, MultipartUpload: { Parts: parts } }, signal)
    } catch (error) {
      await this.#abort(Key, UploadId)
      throw failed.signal.aborted && !(signal?.aborted ?? false) ? failed.signal.reason : error
    }
  }

  /** Never throws, as `#abort`. Keys are used once, so no upload of this key is wanted any more. */
  async #abortAll(key: string): Promise<void> {
    const { log } = this.#modules
    try {
      for (const uploadId of await this.#unfinished(key, Number.POSITIVE_INFINITY)) {
        await this.#abort(uploadId.key, uploadId.id)
      }
    } catch (error) {
      log.warn(
        { event: 'upload.abort-failed', err: error },
        'unfinished uploads could not be listed',
      )
    }
  }

  async #unfinished(
    prefix: string,
    beforeMs: number,
    signal?: AbortSignal,
  ): Promise<{ key: string; id: string }[]> {
    const { bucket } = this.#options
    const page = await this.#call('ListMultipartUploads', prefix, signal, (abortSignal) =>
      this.#client.send(
        new this.#sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
        { abortSignal },
      ),
    )
    return (page.Uploads ?? [])
      .filter((upload) => (upload.Initiated?.getTime() ?? 0) < beforeMs)
      .map(({ Key, UploadId }) => ({ key: must(Key, 'key'), id: must(UploadId, 'upload id') }))
  }

  /** A try of this may succeed and its answer be lost: the next one is then told that no such upload is. */
  async #complete(
    input: Sdk.CompleteMultipartUploadCommandInput,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const key = must(input.Key, 'key')
    let tries = 0
    try {
      await this.#call('CompleteMultipartUpload', key, signal, (abortSignal) => {
        tries += 1
        return this.#client.send(new this.#sdk.CompleteMultipartUploadCommand(input), {
          abortSignal,
        })
      })
    } catch (error) {
      const gone = error instanceof StorageError && error.code === 'STORAGE_NOT_FOUND'
      if (!gone || tries < 2) throw error
    }
  }

  /** Never throws: it runs while another failure is reported, and the sweep finds what it leaves. */
  async #abort(key: string, uploadId: string): Promise<void> {
    const { log } = this.#modules
    try {
      await this.#call('AbortMultipartUpload', key, undefined, (abortSignal) =>
        this.#client.send(
          new this.#sdk.AbortMultipartUploadCommand({
            Bucket: this.#options.bucket,
            Key: key,
            UploadId: uploadId,
          }),
          { abortSignal },
        ),
      )
    } catch (error) {
      if (error instanceof StorageError && error.code === 'STORAGE_NOT_FOUND') return
      log.warn(
        { event: 'upload.abort-failed', err: error },
        'an unfinished upload could not be aborted',
      )
    }
  }

  async #confirm(
    key: string,
    facts: { readonly sizeBytes: number },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const reply = await this.#call('HeadObject', key, signal, (abortSignal) =>
      this.#client.send(
        new this.#sdk.HeadObjectCommand({ Bucket: this.#options.bucket, Key: key }),
        {
          abortSignal,
        },
      ),
    )
    if (reply.ContentLength === facts.sizeBytes) return
    await this.delete(key)
    throw new StorageError(
      { code: 'STORAGE_CORRUPT', key },
      `the store holds ${reply.ContentLength ?? 0} bytes of ${facts.sizeBytes}`,
      { retryable: true },
    )
  }

  async #presign(
    command: Sdk.GetObjectCommand | Sdk.PutObjectCommand,
    expiresInSeconds: number,
  ): Promise<string> {
    const expiresIn = checkExpiry(expiresInSeconds)
    return this.#presigner.getSignedUrl(this.#client, command, { expiresIn })
  }

  #deadline(signal: AbortSignal | undefined): Deadline {
    return new Deadline(this.#options.requestTimeoutMs ?? 60_000, signal)
  }

  async #call<T>(
    operation: string,
    key: string,
    signal: AbortSignal | undefined,
    send: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, rng, metrics } = this.#modules
    const context = {
      clock,
      rng,
      ...(signal === undefined ? {} : { signal }),
      onRetry: () => metrics?.retries.inc({ operation }),
    }
    return retry(RETRY, context, async () => {
      using limit = this.#deadline(signal)
      try {
        return await send(limit.signal)
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason
        // The SDK reports our per-request deadline as an abort; it is a slow store.
        const cause = isAbort(error) ? new Error('no answer in time', { cause: 'deadline' }) : error
        throw classifyS3(cause, { operation, bucket: this.#options.bucket, key })
      }
    })
  }
}

const md5 = (body: Uint8Array): string => createHash('md5').update(body).digest('base64')

async function readAt(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, start + done)
    if (bytesRead === 0) throw new Error('the file became shorter while it was uploaded')
    done += bytesRead
  }
  return buffer
}
