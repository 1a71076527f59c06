import { Worker } from 'node:worker_threads'
import { withResolvers } from '../../lib/resources.js'
import { MetricsError } from './errors.js'
import type { LaneData, LaneReply, LaneRequest, Tensors } from './lane-protocol.js'
import type { ModelStore } from './models.js'

/** A run that failed in its lane; the memory of its inputs comes back when the lane still lives. */
export class LaneFailure extends Error {
  readonly feeds: Tensors | undefined

  constructor(message: string, feeds: Tensors | undefined) {
    super(message)
    this.name = 'LaneFailure'
    this.feeds = feeds
  }
}

type Success = Exclude<LaneReply, { kind: 'failed' }>

/** Where a device's work is done, one thing at a time. */
export interface Lane {
  /** `cpu` or `cuda:N`. */
  readonly device: string
  readonly busy: boolean
  load(model: string): Promise<void>
  /** Throws LaneFailure when the model or the device failed. */
  run(model: string, feeds: Tensors): Promise<{ outputs: Tensors; feeds: Tensors }>
  close(): Promise<void>
}

/** One worker thread with its sessions. */
export class WorkerLane implements Lane {
  readonly device: string
  readonly #worker: Worker
  readonly #store: ModelStore
  readonly #loaded = new Set<string>()
  #waiting: { resolve: (reply: Success) => void; reject: (error: unknown) => void } | undefined
  #nextId = 1
  busy = false

  constructor(device: string, threads: number, store: ModelStore) {
    this.device = device
    this.#store = store
    const workerData: LaneData = { device, threads }
    this.#worker = new Worker(new URL('./lane.js', import.meta.url), { workerData })
    this.#worker.unref()
    this.#worker.on('message', (reply: LaneReply) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      this.#worker.unref()
      if (reply.kind === 'failed') waiting?.reject(new LaneFailure(reply.message, reply.feeds))
      else waiting?.resolve(reply)
    })
    const died = (error: unknown) => {
      const message = error instanceof Error ? error.message : `thread ended with ${error}`
      this.#waiting?.reject(new LaneFailure(message, undefined))
      this.#waiting = undefined
    }
    this.#worker.on('error', died)
    this.#worker.on('exit', died)
  }

  async load(model: string): Promise<void> {
    if (this.#loaded.has(model)) return
    const bytes = await this.#store.read(model)
    try {
      await this.#ask({ kind: 'load', id: this.#nextId, model, bytes }, [])
    } catch (cause) {
      if (this.device !== 'cpu') throw cause
      throw new MetricsError(
        { code: 'METRICS_MODEL_UNUSABLE', model },
        `ONNX Runtime refuses the model ${model}`,
        { cause },
      )
    }
    this.#loaded.add(model)
  }

  async run(model: string, feeds: Tensors): Promise<{ outputs: Tensors; feeds: Tensors }> {
    this.busy = true
    try {
      await this.load(model)
      const memory = Object.values(feeds).map((tensor) => tensor.data)
      const reply = await this.#ask({ kind: 'run', id: this.#nextId, model, feeds }, memory)
      if (reply.kind !== 'ran') throw new LaneFailure('the lane answered out of turn', undefined)
      return { outputs: reply.outputs, feeds: reply.feeds }
    } finally {
      this.busy = false
    }
  }

  #ask(request: LaneRequest, moved: ArrayBuffer[]): Promise<Success> {
    this.#nextId += 1
    const { promise, resolve, reject } = withResolvers<Success>()
    this.#waiting = { resolve, reject }
    // A thread that works keeps the process alive; one that waits does not.
    this.#worker.ref()
    this.#worker.postMessage(request, moved)
    return promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
