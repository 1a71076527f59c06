/** Anything that must be released: returned by openers, pushed on a `Resources`. */
export interface Closable {
  close(): Promise<void> | void
}

interface Entry {
  readonly name: string
  readonly release: () => Promise<void> | void
}

/**
 * What a process has opened, released in reverse order. Node 20 lacks `AsyncDisposableStack`;
 * this is the part of it we use, plus names for the log.
 */
export class Resources implements AsyncDisposable {
  readonly #entries: Entry[] = []
  #closing: Promise<void> | undefined

  /** Registers a closable and returns it. */
  use<T extends Closable>(name: string, resource: T): T {
    this.defer(name, () => resource.close())
    return resource
  }

  /** Registers a release step. */
  defer(name: string, release: () => Promise<void> | void): void {
    this.#entries.push({ name, release })
  }

  /** Releases everything, last opened first. Later steps run even when one throws. */
  close(): Promise<void> {
    this.#closing ??= this.#release()
    return this.#closing
  }

  async #release(): Promise<void> {
    const failures: unknown[] = []
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.release()
      } catch (cause) {
        failures.push(new Error(`closing ${entry.name} failed`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'some resources failed to close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** `Promise.withResolvers`, which Node 20 lacks. */
export function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((res, rej) => {
    resolve = res
    reject = rej
  })
  return { promise, resolve, reject }
}
