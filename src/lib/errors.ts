/** What every error of Subreel carries: a stable code and the data that explains it. */
export interface ErrorData {
  /** `FOLDER_WHAT_HAPPENED`, listed in docs/reference/errors.md. */
  readonly code: string
}

export interface SubnetErrorOptions {
  readonly cause?: unknown
  /** Whether the same call may succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean
}

/**
 * Base of all errors thrown by Subreel. Each folder extends it once with a union of its codes:
 *
 *     class AxonError extends SubnetError<{ code: 'AXON_NONCE_STALE'; ageMs: number }> {}
 *     throw new AxonError({ code: 'AXON_NONCE_STALE', ageMs: 9000 }, 'nonce is 9 s old; allowed: 4 s')
 *
 * The message says what was wrong and what to do about it. Callers branch on `code`, never on text.
 */
export class SubnetError<T extends ErrorData = ErrorData> extends Error {
  readonly data: T
  readonly retryable: boolean

  constructor(data: T, message: string, options: SubnetErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.data = data
    this.retryable = options.retryable ?? false
  }

  get code(): T['code'] {
    return this.data.code
  }
}

/** Codes thrown by `lib` itself. */
export type LibErrorData =
  /** A value that the code guarantees is missing: a bug in Subreel. Report it with the message. */
  | { code: 'LIB_ASSERTION'; what: string }
  /** The disk of the working files has too little space; free some or move neuron.temp_dir. */
  | { code: 'LIB_DISK_FULL'; freeBytes: number; neededBytes: number }

export class LibError extends SubnetError<LibErrorData> {}

/** True for an abort or for a wrapper whose cause is one. An abort is not a failure: end quietly. */
export function isAbort(error: unknown): boolean {
  for (
    let e: unknown = error, depth = 0;
    e instanceof Error && depth < 8;
    e = e.cause, depth += 1
  ) {
    if (e.name === 'AbortError') return true
  }
  return false
}

/** Narrows away `undefined` and `null` where the surrounding code guarantees a value. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) {
    throw new LibError({ code: 'LIB_ASSERTION', what }, `internal: ${what} is missing`)
  }
  return value
}

/** One line of text for any thrown value, for logs and reports. */
export function describeError(error: unknown): string {
  if (error instanceof SubnetError) return `${error.code}: ${error.message}`
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
