import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import type { Clock } from '../lib/clock.js'
import { MediaError } from './errors.js'
import { runProcess } from './process.js'

/** One GPU as the driver shows it. */
export interface Gpu {
  /** The driver's number. */
  readonly index: number
  readonly uuid: string
  /** Mebibytes. */
  readonly freeMb: number
  readonly totalMb: number
}

/** A GPU that a job has to itself, as far as the limit of jobs per GPU says. */
export interface GpuPlace {
  /** What CUDA calls it in this process. */
  readonly cuda: number
  leave(): Promise<void>
}

export interface GpuPlacesOptions {
  /** GPUs that may be used, by the driver's number or UUID, and what CUDA calls them; all when absent. */
  readonly allowed?: ReadonlyMap<string, number> | undefined
  /** Jobs that may share one GPU, over all processes of this host. Default 1. */
  readonly jobsPerGpu?: number
  /** Sets the places of one host apart from another's, in tests. Default `subreel`. */
  readonly name?: string
}

export interface GpuPlacesModules {
  readonly clock: Clock
  /** Default: what nvidia-smi says. */
  readonly read?: (signal: AbortSignal) => Promise<readonly Gpu[]>
}

const LOOK_EVERY_MS = 500

/**
 * Places on the GPUs of this host, shared by all its processes: the one with the most free memory
 * first. A place is a bound abstract socket, which the kernel gives back however its process ends.
 */
export class GpuPlaces {
  readonly #allowed: ReadonlyMap<string, number> | undefined
  readonly #jobsPerGpu: number
  readonly #name: string
  readonly #clock: Clock
  readonly #read: (signal: AbortSignal) => Promise<readonly Gpu[]>

  constructor(options: GpuPlacesOptions, { clock, read }: GpuPlacesModules) {
    this.#allowed = options.allowed
    this.#jobsPerGpu = options.jobsPerGpu ?? 1
    this.#name = options.name ?? 'subreel'
    this.#clock = clock
    this.#read = read ?? readGpus
  }

  /** The GPUs that may be used and answer now. */
  async gpus(signal: AbortSignal): Promise<readonly Gpu[]> {
    const found = await this.#read(signal)
    return found.filter((gpu) => this.#cudaOf(gpu) !== undefined)
  }

  #cudaOf({ index, uuid }: Gpu): number | undefined {
    if (this.#allowed === undefined) return index
    return this.#allowed.get(`${index}`) ?? this.#allowed.get(uuid)
  }

  /** Places in all: as many jobs can run at once. */
  async count(signal: AbortSignal): Promise<number> {
    return (await this.gpus(signal)).length * this.#jobsPerGpu
  }

  /** @throws MediaError MEDIA_GPU_MISSING when no GPU has `needMb` mebibytes at all */
  async require(needMb: number, signal: AbortSignal): Promise<readonly Gpu[]> {
    const gpus = await this.gpus(signal)
    const fit = gpus.filter(({ totalMb }) => totalMb >= needMb)
    if (fit.length > 0) return fit
    throw new MediaError(
      { code: 'MEDIA_GPU_MISSING', needMb, foundMb: gpus.map(({ totalMb }) => totalMb) },
      `no GPU answers that has ${needMb} MB of memory`,
    )
  }

  /**
   * Waits for a GPU with a free place and `needMb` mebibytes free, and takes it.
   * @throws MediaError MEDIA_GPU_MISSING
   */
  async take(needMb: number, signal: AbortSignal): Promise<GpuPlace> {
    for (;;) {
      const gpus = await this.require(needMb, signal)
      const roomy = gpus
        .filter(({ freeMb }) => freeMb >= needMb)
        .sort((a, b) => b.freeMb - a.freeMb)
      for (const gpu of roomy) {
        const lock = await this.#lock(gpu.uuid)
        if (lock === undefined) continue
        return { cuda: this.#cudaOf(gpu) ?? gpu.index, leave: () => closed(lock) }
      }
      await this.#clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  async #lock(uuid: string): Promise<Server | undefined> {
    for (let place = 0; place < this.#jobsPerGpu; place += 1) {
      const server = createServer().unref()
      // A leading NUL makes it abstract: a name without a file, gone with its process.
      server.listen(`\0${this.#name}/${uuid}/${place}`)
      try {
        await once(server, 'listening')
        return server
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
      }
    }
    return undefined
  }
}

async function closed(server: Server): Promise<void> {
  server.close()
  await once(server, 'close')
}

const FIELDS = ['--query-gpu=index,uuid,memory.free,memory.total', '--format=csv,noheader,nounits']
const ASK_MS = 5_000

/** GPUs by nvidia-smi; none when it is missing or the driver does not answer. */
export async function readGpus(signal: AbortSignal): Promise<readonly Gpu[]> {
  try {
    const { stdout } = await runProcess('nvidia-smi', FIELDS, { signal, timeoutMs: ASK_MS })
    return parseGpus(stdout.toString('utf8'))
  } catch (error) {
    if (error instanceof MediaError) return []
    throw error
  }
}

/** Lines of `index, uuid, free, total`; a lost GPU says text instead of numbers and is left out. */
export function parseGpus(text: string): readonly Gpu[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s*,\s*([\w-]+)\s*,\s*(\d+)\s*,\s*(\d+)\s*$/.exec(line)
    if (match === null) return []
    const [, index, uuid = '', freeMb, totalMb] = match
    return [{ index: Number(index), uuid, freeMb: Number(freeMb), totalMb: Number(totalMb) }]
  })
}
