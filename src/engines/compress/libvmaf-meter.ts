import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { tempFolder } from '../../lib/temp-folder.js'
import { hostileInput, type MediaTools, runFfmpeg } from '../../media/index.js'
import { EngineError } from '../errors.js'
import type { MeasureOptions, Quality, QualityMeter, VmafModel } from './meter.js'

const LOG = z.object({
  frames: z.array(z.object({ metrics: z.record(z.string(), z.number()) })),
})

const VERSIONS: Readonly<Record<VmafModel, string>> = { neg: 'vmaf_v0.6.1neg', base: 'vmaf_v0.6.1' }

/** Text as the value of a filter option: escaped for the option list, then for the graph. */
export function filterValue(text: string): string {
  return text.replace(/[\\':]/g, '\\$&').replace(/[\\'[\],;]/g, '\\$&')
}

/** libvmaf inside ffmpeg: the reference implementation, and the fastest on a CPU. */
export class LibvmafMeter implements QualityMeter {
  readonly name = 'libvmaf'
  readonly #tools: MediaTools
  readonly #threads: number

  constructor(tools: MediaTools = {}, threads: number = availableParallelism()) {
    this.#tools = tools
    this.#threads = threads
  }

  async measure(
    reference: string,
    distorted: string,
    { every, models, signal, workDir }: MeasureOptions,
  ): Promise<Quality> {
    await using folder = await tempFolder('subreel-vmaf-', workDir)
    const log = join(folder.path, 'vmaf.json')
    await runFfmpeg(this.#args(reference, distorted, log, every, models), {
      ...this.#tools,
      signal,
      writes: [folder.path],
    })
    return parseLog(await readFile(log, 'utf8'), models)
  }

  #args(
    reference: string,
    distorted: string,
    log: string,
    every: number,
    models: readonly VmafModel[],
  ): readonly string[] {
    const options = {
      model: models.map((name) => `version=${VERSIONS[name]}:name=${name}`).join('|'),
      n_threads: `${this.#threads}`,
      n_subsample: `${every}`,
      log_fmt: 'json',
      log_path: log,
    }
    const list = Object.entries(options).map(([name, value]) => `${name}=${filterValue(value)}`)
    // Frames are paired by number: timestamps of two containers never agree to the last digit.
    const numbered = 'settb=1/25,setpts=N'
    const graph = [
      `[0:v]${numbered}[d]`,
      `[1:v]${numbered}[r]`,
      `[d][r]libvmaf=${list.join(':')}:shortest=1`,
    ]
    return [
      ...hostileInput(distorted, ['-noautorotate']),
      ...hostileInput(reference, ['-noautorotate']),
      ...['-lavfi', graph.join(';'), '-an', '-sn', '-dn', '-f', 'null', '-'],
    ]
  }
}

function parseLog(text: string, models: readonly VmafModel[]): Quality {
  const { frames } = LOG.parse(JSON.parse(text))
  const series = (name: VmafModel) =>
    frames.map(({ metrics }) => {
      const value = metrics[name]
      if (value === undefined) {
        throw new EngineError(
          { code: 'ENGINE_OUTPUT_INVALID', what: 'libvmaf log', expected: name, actual: 'nothing' },
          `libvmaf reported no ${name} for a frame: its models are not built in`,
        )
      }
      return value
    })
  return Object.fromEntries(models.map((name) => [name, series(name)]))
}
