import { type Clock, SystemClock } from '../lib/clock.js'
import { GpuPlaces } from '../media/index.js'
import type { DeviceChoice } from '../scoring/metrics/index.js'
import type { Engine, EngineContext } from './types.js'

/** The settings that say which GPUs there are and how they are shared. */
export interface GpuSettings {
  readonly device: DeviceChoice
  /** Numbers or UUIDs; all when absent. */
  readonly 'cuda.visible_devices': readonly string[] | undefined
  readonly 'gpu.jobs': number
}

export interface GpuNeed {
  readonly places: GpuPlaces
  /** Memory that a job takes, in mebibytes. */
  readonly needMb: number
  /** Whether to refuse work without a GPU even if none was ever there. */
  readonly required: boolean
}

/** What a job of `needMb` mebibytes asks of the GPUs; undefined for the CPU. */
export function gpuNeed(
  settings: GpuSettings,
  needMb: number,
  clock: Clock = new SystemClock(),
): GpuNeed | undefined {
  const { device, 'cuda.visible_devices': visible, 'gpu.jobs': jobsPerGpu } = settings
  if (device === 'cpu') return undefined
  const named = /^cuda:(\d+)$/.exec(device)?.[1]
  const all = visible?.map((gpu, cuda) => [gpu, cuda] as const)
  const allowed =
    named === undefined ? all : [[visible?.[Number(named)] ?? named, Number(named)] as const]
  const places = new GpuPlaces(
    { jobsPerGpu, allowed: allowed === undefined ? undefined : new Map(allowed) },
    { clock },
  )
  return { places, needMb, required: device !== 'auto' }
}

/** An engine whose jobs each hold a place on a GPU while they run, where there are GPUs. */
export class OnGpu<P, R> implements Engine<P, R> {
  readonly #engine: Engine<P, R>
  readonly #need: GpuNeed
  /** Once a GPU was there, its loss is a failure: what it did in seconds would take the CPU minutes. */
  #bound: boolean

  constructor(engine: Engine<P, R>, need: GpuNeed) {
    this.#engine = engine
    this.#need = need
    this.#bound = need.required
  }

  get name(): string {
    return this.#engine.name
  }

  /** @throws MediaError MEDIA_GPU_MISSING */
  async ready(signal: AbortSignal): Promise<void> {
    const { places, needMb } = this.#need
    this.#bound ||= (await places.gpus(signal)).some(({ totalMb }) => totalMb >= needMb)
    if (this.#bound) await places.require(needMb, signal)
    await this.#engine.ready(signal)
  }

  async run(
    input: { readonly path: string; readonly params: P },
    context: EngineContext,
  ): Promise<R> {
    if (!this.#bound) return this.#engine.run(input, context)
    const place = await this.#need.places.take(this.#need.needMb, context.signal)
    try {
      return await this.#engine.run(input, { ...context, gpu: place.cuda })
    } finally {
      await place.leave()
    }
  }

  /** Jobs that can run at once; undefined where no GPU bounds them. */
  async capacity(signal: AbortSignal): Promise<number | undefined> {
    return this.#bound ? this.#need.places.count(signal) : undefined
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}
