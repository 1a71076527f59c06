import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Closable } from '../lib/resources.js'
import { WalletError } from './errors.js'
import type { SignatureVerifier } from './types.js'
import { inlineVerifier, type VerifyInput } from './verifier.js'

const MAX_THREADS = 4
/** Small batches keep the threads evenly loaded; one check takes about 0.1 ms. */
const MAX_BATCH = 16

interface Check {
  readonly input: VerifyInput
  readonly resolve: (valid: boolean) => void
  readonly reject: (reason: unknown) => void
}

interface Thread {
  readonly worker: Worker
  running: readonly Check[]
}

export interface VerifierOptions {
  /** 0 checks in the calling thread. `auto`: a thread per core but one, at most 4; 0 where that leaves one. */
  readonly threads?: number | 'auto'
}

/**
 * Checks signatures on worker threads, so that a flood of forged ones does not hold up the event
 * loop. Checks asked for in one turn of the loop travel as one message. A thread that dies takes
 * nothing with it: its checks are answered in this thread and the thread is replaced.
 */
export class VerifierPool implements SignatureVerifier, Closable {
  readonly #threads: Thread[] = []
  readonly #waiting: Check[] = []
  #scheduled = false
  #closed = false

  constructor(threads: number) {
    for (let i = 0; i < threads; i += 1) this.#start()
  }

  verify(input: VerifyInput): Promise<boolean> {
    if (this.#closed) return Promise.reject(closedError())
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#dispatch()
      })
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const threads = this.#threads.splice(0)
    for (const check of this.#waiting.splice(0)) check.reject(closedError())
    for (const thread of threads) {
      for (const check of thread.running) check.reject(closedError())
      thread.running = []
    }
    await Promise.all(threads.map((thread) => thread.worker.terminate()))
  }

  #start(): void {
    const worker = new Worker(new URL('./verify-worker.js', import.meta.url))
    const thread: Thread = { worker, running: [] }
    worker.unref()
    worker.on('message', (results: Uint8Array) => {
      const done = thread.running
      thread.running = []
      for (const [i, check] of done.entries()) check.resolve(results[i] === 1)
      this.#dispatch()
    })
    worker.on('error', () => this.#replace(thread))
    worker.on('exit', () => this.#replace(thread))
    this.#threads.push(thread)
  }

  #replace(thread: Thread): void {
    const index = this.#threads.indexOf(thread)
    if (index < 0 || this.#closed) return
    this.#threads.splice(index, 1)
    for (const { input, resolve } of thread.running) resolve(inlineVerifier.verify(input) === true)
    thread.running = []
    this.#start()
    this.#dispatch()
  }

  #dispatch(): void {
    for (const thread of this.#threads) {
      if (this.#waiting.length === 0) return
      if (thread.running.length > 0) continue
      const fair = Math.ceil(this.#waiting.length / this.#threads.length)
      thread.running = this.#waiting.splice(0, Math.min(MAX_BATCH, fair))
      thread.worker.postMessage(thread.running.map((check) => check.input))
    }
  }
}

const closedError = (): WalletError =>
  new WalletError(
    { code: 'WALLET_VERIFIER_CLOSED' },
    'the signature verifier is closed: the process is stopping',
    { retryable: true },
  )

/** One thread alone would only add its messages to the time of a check. */
function spareThreads(cores: number): number {
  return cores > 2 ? Math.min(MAX_THREADS, cores - 1) : 0
}

/** A verifier for this machine: in the calling thread unless threads are asked for. */
export function createVerifier(options: VerifierOptions = {}): SignatureVerifier & Closable {
  const asked = options.threads ?? 0
  const threads = asked === 'auto' ? spareThreads(availableParallelism()) : asked
  if (threads > 0) return new VerifierPool(threads)
  return { verify: inlineVerifier.verify, close: () => {} }
}
