import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { disableTf32 } from '../../lib/env.js'
import { must } from '../../lib/errors.js'
import { type Logger, silentLog } from '../../lib/log.js'
import { withResolvers } from '../../lib/resources.js'
import { runProcess } from '../../media/process.js'
import { MetricsError } from './errors.js'
import type { LaneData, LaneReply, LaneRequest, Tensors } from './lane-protocol.js'
import { type ModelEntry, ModelStore } from './models.js'

/** `auto`: every usable GPU, else the CPU. `cuda` or `cuda:N`: that GPU or an error. */
export type DeviceChoice = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

export interface SessionOptions {
  /** Default `auto`. */
  readonly device?: DeviceChoice | undefined
  /** Work done side by side on the CPU, each on one thread. Default: cores, at most 4. */
  readonly lanes?: number | undefined
  /** A further folder of models with a `manifest.json`; its names win over the shipped ones. */
  readonly modelsFolder?: string | undefined
  readonly log?: Logger | undefined
}

interface Job {
  readonly model: string
  readonly feeds: Tensors
  readonly resolve: (value: RunResult) => void
  readonly reject: (error: unknown) => void
}

export interface RunResult {
  readonly outputs: Tensors
  /** The memory of the inputs, back for the next run. */
  readonly feeds: Tensors
  /** Which provider truly ran: `cpu` or `cuda:N`. */
  readonly device: string
}

/** Loaded models on the devices of this machine. Work queues and runs wherever a lane is free. */
export class SessionManager implements AsyncDisposable {
  readonly #store: ModelStore
  readonly #log: Logger
  readonly #choice: DeviceChoice
  readonly #cpuLanes: number
  #lanes: Lane[] = []
  readonly #queue: Job[] = []
  readonly #bad = new Map<string, string>()
  #gpuFreeBytes: number | undefined
  #closed = false

  private constructor(store: ModelStore, options: SessionOptions) {
    this.#store = store
    this.#log = options.log ?? silentLog()
    this.#choice = options.device ?? 'auto'
    this.#cpuLanes = options.lanes ?? Math.min(4, availableParallelism())
  }

  /**
   * Opens the models folder and the devices. Throws METRICS_MODEL_MISSING, and METRICS_DEVICE_UNAVAILABLE
   * when a GPU was asked for by name and cannot be used.
   */
  static async create(options: SessionOptions = {}): Promise<SessionManager> {
    const manager = new SessionManager(await ModelStore.open(options.modelsFolder), options)
    await manager.#open()
    return manager
  }

  /** The devices in use, best first: `cuda:0` or `cpu`. */
  get devices(): readonly string[] {
    return [...new Set(this.#lanes.map((lane) => lane.device))]
  }

  /** GPUs that failed in this process, with what they said. */
  get lost(): ReadonlyMap<string, string> {
    return this.#bad
  }

  /** How many runs can be under way at once. */
  get width(): number {
    return this.#lanes.length
  }

  /**
   * How many items of this many bytes of working memory one run should take: 1 on the CPU, where a batch
   * only costs cache; on a GPU what fits in half of its free memory, at most 16.
   */
  batchFor(bytesPerItem: number): number {
    if (this.#gpuFreeBytes === undefined || this.devices[0] === 'cpu') return 1
    return Math.max(1, Math.min(16, Math.floor(this.#gpuFreeBytes / 2 / bytesPerItem)))
  }

  /** Name and hash of a model. */
  entry(model: string): ModelEntry {
    return this.#store.entry(model)
  }

  /** Runs a model; the memory of `feeds` is handed over and comes back with the result. */
  run(model: string, feeds: Tensors): Promise<RunResult> {
    if (this.#closed) return Promise.reject(closedError())
    const { promise, resolve, reject } = withResolvers<RunResult>()
    this.#queue.push({ model, feeds, resolve, reject })
    this.#dispatch()
    return promise
  }

  async #open(): Promise<void> {
    if (this.#choice === 'cpu') return this.#openCpu()
    disableTf32()
    const wanted =
      this.#choice === 'auto'
        ? (await gpuIndexes()).map((index) => `cuda:${index}`)
        : [this.#choice === 'cuda' ? 'cuda:0' : this.#choice]
    const provider = wanted.length === 0 || (await hasCudaProvider())
    for (const device of wanted) {
      if (!provider) {
        this.#refuse(device, new Error('the CUDA provider of ONNX Runtime is not installed'))
        continue
      }
      const lane = new Lane(device, 1, this.#store)
      try {
        await lane.load(PROBE_MODEL)
        this.#lanes.push(lane)
      } catch (cause) {
        await lane.close()
        this.#refuse(device, cause)
      }
    }
    if (this.#lanes.length === 0) this.#openCpu()
    else this.#gpuFreeBytes = await gpuFreeBytes()
    this.#log.info({ event: 'device.chosen', devices: this.devices }, 'devices chosen')
  }

  /** A GPU asked for by name is an error; one that `auto` found is logged and left alone. */
  #refuse(device: string, cause: unknown): void {
    if (this.#choice !== 'auto') throw unavailable(device, cause)
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#bad.set(device, reason)
    this.#log.warn({ event: 'device.refused', device, reason }, 'GPU cannot be used')
  }

  #openCpu(): void {
    for (let i = 0; i < this.#cpuLanes; i += 1) this.#lanes.push(new Lane('cpu', 1, this.#store))
  }

  #dispatch(): void {
    for (const lane of this.#lanes) {
      if (lane.busy) continue
      const job = this.#queue.shift()
      if (job === undefined) return
      void this.#runOn(lane, job)
    }
  }

  async #runOn(lane: Lane, job: Job): Promise<void> {
    try {
      job.resolve({ ...(await lane.run(job.model, job.feeds)), device: lane.device })
    } catch (error) {
      if (error instanceof LaneFailure && lane.device !== 'cpu') await this.#lose(lane, job, error)
      else job.reject(error instanceof LaneFailure ? runError(job, lane, error) : error)
    }
    if (!this.#closed) this.#dispatch()
  }

  /** A GPU that failed once is not asked again: half of what it says afterwards may be wrong. */
  async #lose(lane: Lane, job: Job, error: LaneFailure): Promise<void> {
    const { device } = lane
    this.#bad.set(device, error.message)
    this.#lanes = this.#lanes.filter((other) => other.device !== device)
    this.#log.error({ event: 'device.lost', device, reason: error.message }, 'GPU failed')
    await lane.close()
    if (this.#choice === 'auto' && error.feeds !== undefined) {
      if (this.#lanes.length === 0) this.#openCpu()
      this.#queue.unshift({ ...job, feeds: error.feeds })
      return
    }
    const lost = () =>
      new MetricsError(
        { code: 'METRICS_DEVICE_LOST', device },
        `${device} failed while it ran and is not used again: ${error.message}`,
        { cause: error, retryable: true },
      )
    job.reject(lost())
    if (this.#lanes.length === 0)
      for (const waiting of this.#queue.splice(0)) waiting.reject(lost())
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const job of this.#queue.splice(0)) job.reject(closedError())
    await Promise.all(this.#lanes.splice(0).map((lane) => lane.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Small, and uses the same operators as the rest. */
const PROBE_MODEL = 'vmaf_motion_8bit_batched'

const closedError = () => new MetricsError({ code: 'METRICS_CLOSED' }, 'the models are closed')

const unavailable = (device: string, cause: unknown) =>
  new MetricsError(
    { code: 'METRICS_DEVICE_UNAVAILABLE', device },
    `${device} was asked for and cannot be used: ${cause instanceof Error ? cause.message : cause}`,
    { cause },
  )

const runError = (job: Job, lane: Lane, cause: LaneFailure) =>
  new MetricsError(
    { code: 'METRICS_RUN_FAILED', model: job.model, device: lane.device },
    `${job.model} failed on ${lane.device}: ${cause.message}`,
    { cause },
  )

/** The package brings CUDA's library only where its install script was let to fetch it. */
async function hasCudaProvider(): Promise<boolean> {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node')
  const files = await readdir(join(dirname(main), '..', 'bin'), { recursive: true }).catch(() => [])
  return files.some((file) => /onnxruntime_providers_cuda\.(so|dll)$/.test(file))
}

/** NVIDIA GPUs that the driver shows; none without a driver. */
async function gpuIndexes(): Promise<number[]> {
  const cards = await readdir('/proc/driver/nvidia/gpus').catch(() => [])
  return cards.map((_, index) => index)
}

/** Free memory of the fullest GPU in bytes; 4 GiB when the driver's tool does not say. */
async function gpuFreeBytes(): Promise<number> {
  const query = ['--query-gpu=memory.free', '--format=csv,noheader,nounits']
  const text = await runProcess('nvidia-smi', query, { timeoutMs: 5000 }).then(
    ({ stdout }) => stdout.toString('utf8'),
    () => '',
  )
  const free = text
    .split('\n')
    .map(Number)
    .filter((mebibytes) => mebibytes > 0)
  return Math.min(...free, ...(free.length === 0 ? [4096] : [])) * 1024 ** 2
}

class LaneFailure extends Error {
  readonly feeds: Tensors | undefined

  constructor(message: string, feeds: Tensors | undefined) {
    super(message)
    this.name = 'LaneFailure'
    this.feeds = feeds
  }
}

type Success = Exclude<LaneReply, { kind: 'failed' }>

/** One worker thread with its sessions. Does one thing at a time. */
class Lane {
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

/** One output of a run as numbers. */
export function numbers(result: RunResult, output: string): Float32Array | Float64Array {
  const tensor = must(result.outputs[output], `output ${output}`)
  return tensor.type === 'float64' ? new Float64Array(tensor.data) : new Float32Array(tensor.data)
}
