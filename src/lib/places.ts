import { withResolvers } from './resources.js'

/** Places for `active` jobs at once and `waiting` more in order of arrival; the rest is turned away. */
export class Places {
  readonly #limits: { readonly active: number; readonly waiting: number }
  #active = 0
  readonly #queue: (() => void)[] = []

  constructor(limits: { readonly active: number; readonly waiting: number }) {
    this.#limits = limits
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** A place when it is one's turn, to be given back by calling it; undefined when all is full. */
  take(signal: AbortSignal): Promise<() => void> | undefined {
    const full = this.#active >= this.#limits.active
    if (full && this.#queue.length >= this.#limits.waiting) return undefined
    if (!full) {
      this.#active += 1
      return Promise.resolve(this.#releaser())
    }
    const { promise, resolve, reject } = withResolvers<() => void>()
    const enter = () => {
      signal.removeEventListener('abort', leave)
      resolve(this.#releaser())
    }
    const leave = () => {
      const at = this.#queue.indexOf(enter)
      if (at !== -1) this.#queue.splice(at, 1)
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#queue.push(enter)
    return promise
  }

  #releaser(): () => void {
    let released = false
    return () => {
      if (released) return
      released = true
      const next = this.#queue.shift()
      // The place goes straight to the next, so that nobody overtakes.
      if (next === undefined) this.#active -= 1
      else next()
    }
  }
}
