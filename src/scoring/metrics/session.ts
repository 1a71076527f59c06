import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { disableTf32 } from '../../lib/env.js'
import { must } from '../../lib/errors.js'
import { type Logger, silentLog } from '../../lib/log.js'
import { withResolvers } from '../../lib/resources.js'
import { runProcess } from '../../media/process.js'
import { MetricsError } from './errors.js'
import type { Tensors } from './lane-protocol.js'
import { type ModelEntry, ModelStore } from './models.js'
import { type Lane, LaneFailure, WorkerLane } from './worker-lane.js'

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
  /** What the machine has and how a device is opened. Default: this machine. */
  readonly machine?: Machine | undefined
}

/** The devices of a machine. */
export interface Machine {
  /** Indexes of the GPUs that the driver shows. */
  gpus(): Promise<readonly number[]>
  /** Whether ONNX Runtime can use them at all. */
  hasCudaProvider(): Promise<boolean>
  openLane(device: string, store: ModelStore): Lane
}

const THIS_MACHINE: Machine = {
  gpus: gpuIndexes,
  hasCudaProvider,
  openLane: (device, store) => new WorkerLane(device, 1, store),
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
  readonly #machine: Machine
  #lanes: Lane[] = []
  readonly #queue: Job[] = []
  readonly #bad = new Map<string, string>()
  #gpuFreeBytes: number | undefined
  #closed = false

  private constructor(store: ModelStore, options: SessionOptions) {
    this.#store = store
    this.#log = options.log ?? silentLog()
    this.#choice = options.device ?? 'auto'
    this.#machine = options.machine ?? THIS_MACHINE
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
   * only costs cache; on a GPU what fits in half of its free memory, at most 8.
   */
  batchFor(bytesPerItem: number): number {
    if (this.#gpuFreeBytes === undefined || this.devices[0] === 'cpu') return 1
    return Math.max(1, Math.min(8, Math.floor(this.#gpuFreeBytes / 2 / bytesPerItem)))
  }

  /** Name and hash of a model. */
  entry(model: string): ModelEntry {
    return this.#store.entry(model)
  }

  /** Runs a model; the memory of `feeds` is handed over and comes back with the result. */
  run(model: string, feeds: Tensors): Promise<RunResult> {
    if (this.#closed) return Promise.reject(closedError())
    const [gone] = this.#bad
    if (this.#lanes.length === 0 && gone !== undefined) return Promise.reject(lostError(...gone))
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
        ? (await this.#machine.gpus()).map((index) => `cuda:${index}`)
        : [this.#choice === 'cuda' ? 'cuda:0' : this.#choice]
    const provider = wanted.length === 0 || (await this.#machine.hasCudaProvider())
    for (const device of wanted) {
      if (!provider) {
        this.#refuse(device, new Error('the CUDA provider of ONNX Runtime is not installed'))
        continue
      }
      const lane = this.#machine.openLane(device, this.#store)
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
    for (let i = 0; i < this.#cpuLanes; i += 1) {
      this.#lanes.push(this.#machine.openLane('cpu', this.#store))
    }
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
    job.reject(lostError(device, error.message, error))
    if (this.#lanes.length > 0) return
    for (const waiting of this.#queue.splice(0)) waiting.reject(lostError(device, error.message))
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

const lostError = (device: string, reason: string, cause?: unknown) =>
  new MetricsError(
    { code: 'METRICS_DEVICE_LOST', device },
    `${device} failed while it ran and is not used again: ${reason}`,
    { cause, retryable: true },
  )

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

/** Indexes of the NVIDIA GPUs that the driver shows; none without a driver. */
export async function gpuIndexes(): Promise<number[]> {
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

/** One output of a run as numbers. */
export function numbers(result: RunResult, output: string): Float32Array | Float64Array {
  const tensor = must(result.outputs[output], `output ${output}`)
  return tensor.type === 'float64' ? new Float64Array(tensor.data) : new Float32Array(tensor.data)
}
