import type { Readable } from 'node:stream'

export interface PutOptions {
  readonly contentType?: string
  readonly signal?: AbortSignal
}

export interface StoredObject {
  readonly key: string
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly sha256: string
}

/** An object store: S3, the built-in signed store, a folder. All pass one contract suite. */
export interface ObjectStore {
  readonly kind: 's3' | 'builtin' | 'dir'
  /** Stores a file's bytes under `key`; the object appears whole or not at all. */
  putFile(key: string, path: string, options?: PutOptions): Promise<StoredObject>
  /** @throws StorageError STORAGE_NOT_FOUND */
  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Readable>
  /** Deleting what is not there succeeds. */
  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Keys under a prefix with size and age, in key order. */
  list(
    prefix: string,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<{ key: string; sizeBytes: number; modifiedMs: number }>
  /** A URL that reads `key` until `expiresInSeconds` from now (1–604800). */
  presignGet(key: string, expiresInSeconds: number): Promise<string>
  /** A URL to which one PUT of `key` is allowed until it expires. */
  presignPut(key: string, expiresInSeconds: number): Promise<string>
  /** Removes uploads in parts below `prefix` that began before `beforeMs`; where a store has such. */
  abortStaleUploads?(prefix: string, beforeMs: number, signal?: AbortSignal): Promise<number>
  close(): Promise<void>
}
