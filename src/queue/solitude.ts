interface Waiting {
  readonly alone: boolean
  readonly admit: () => void
}

/** Lets runs share a process, or one have it to itself. In the order of arrival, so that none starves. */
export class Solitude {
  readonly #waiting: Waiting[] = []
  #inside = 0
  #taken = false

  /** Resolves with the way out. Rejects with the signal's reason when that aborts before. */
  enter(alone: boolean, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        reject(signal.reason)
        this.#admit()
      }
      const waiting: Waiting = {
        alone,
        admit: () => {
          signal.removeEventListener('abort', giveUp)
          resolve(() => this.#leave())
        },
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(waiting)
      this.#admit()
    })
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || this.#taken || (next.alone && this.#inside > 0)) return
      this.#waiting.shift()
      this.#inside += 1
      this.#taken = next.alone
      next.admit()
    }
  }

  #leave(): void {
    this.#inside -= 1
    this.#taken = false
    this.#admit()
  }
}
