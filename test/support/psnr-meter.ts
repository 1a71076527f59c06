import { readFile, rm } from 'node:fs/promises'
import type { MeasureOptions, Quality, QualityMeter } from '#src/engines/compress/meter.js'
import { ffmpeg } from './clips.js'

/** A quick stand-in for VMAF: luma PSNR of 20–50 dB as 0–100, by ffmpeg's psnr filter. */
export class PsnrMeter implements QualityMeter {
  readonly name = 'psnr'
  /** File pairs measured, in order. */
  readonly calls: string[] = []

  async measure(
    reference: string,
    distorted: string,
    { every, models }: MeasureOptions,
  ): Promise<Quality> {
    this.calls.push(`${distorted} every ${every} ${models}`)
    const log = `${distorted}.psnr`
    const numbered = `select='not(mod(n,${every}))',settb=1/25,setpts=N`
    const graph = `[0:v]${numbered}[d];[1:v]${numbered}[r];[d][r]psnr=stats_file=${log}`
    await ffmpeg('-i', distorted, '-i', reference, '-lavfi', graph, '-f', 'null', '-')
    const lines = (await readFile(log, 'utf8')).trim().split('\n')
    await rm(log)
    const frames = lines.map((line) => {
      const db = Number.parseFloat(/psnr_y:(\S+)/.exec(line)?.[1] ?? '')
      return Math.min(100, Math.max(0, ((Number.isNaN(db) ? 99 : db) - 20) / 0.3))
    })
    return Object.fromEntries(models.map((model) => [model, frames]))
  }
}
