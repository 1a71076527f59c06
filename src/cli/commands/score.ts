import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { Deadline } from '../../lib/clock.js'
import { must } from '../../lib/errors.js'
import { MediaError } from '../../media/index.js'
import { COMPRESSION_FORMULAS } from '../../scoring/formulas/compression.js'
import { createJudge, type Judge, type Judged } from '../../scoring/judge/index.js'
import { drawPlot } from '../../scoring/judge/plot.js'
import { createVmafScorer } from '../../scoring/metrics/index.js'
import type { ScoreRecord } from '../../scoring/types.js'
import type { Command, CommandIo } from '../command.js'
import { CliError } from '../errors.js'

const USAGE = `usage: subreel score --reference FILE --result FILE --task compression|upscaling [options]

Judges a result as a validator does and says why: gates, VMAF and VMAF NEG of every frame, score.

  --threshold N     VMAF asked for, 0-100 (compression; default 90)
  --codec NAME      av1, hevc, h264 or vp9, when the task asked for one
  --formula NAME    vidaio-compression (default) or continuous-compression
  --mode MODE       CRF (default), VBR or CBR; the last two need --bitrate
  --bitrate MBPS    target bit rate
  --scale 2|4       upscaling factor (default 2)
  --input FILE      what the miner was given to upscale; made from the reference when left out
  --every N         score every N-th frame (default 1)
  --device NAME     auto (default), cpu, cuda or cuda:N
  --timeout SECONDS give up after so long (default 3600)
  --json            print the whole record, which subreel verify checks
  --plot FILE.png   draw every frame's score, and the worst frames side by side`

const OPTIONS = {
  reference: { type: 'string' },
  result: { type: 'string' },
  task: { type: 'string' },
  threshold: { type: 'string', default: '90' },
  codec: { type: 'string' },
  formula: { type: 'string', default: 'vidaio-compression' },
  mode: { type: 'string', default: 'CRF' },
  bitrate: { type: 'string' },
  scale: { type: 'string', default: '2' },
  input: { type: 'string' },
  every: { type: 'string', default: '1' },
  device: { type: 'string' },
  timeout: { type: 'string', default: '3600' },
  json: { type: 'boolean', default: false },
  plot: { type: 'string' },
} as const

export const command: Command = {
  summary: 'judge a result file against its reference and explain the score',
  usage: USAGE,

  async run(argv, outer) {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false })
    const reference = required(values.reference, '--reference')
    const result = required(values.result, '--result')
    const task = oneOf(required(values.task, '--task'), ['compression', 'upscaling'], '--task')
    const threshold = number(values.threshold, '--threshold', 0, 100)
    const every = number(values.every, '--every', 1, 1000)
    const timeoutMs = number(values.timeout, '--timeout', 0.1, 86_400) * 1000
    using within = new Deadline(timeoutMs, outer.signal)
    const io = { ...outer, signal: within.signal }
    const media = mediaTools(io)
    const vmaf = await createVmafScorer({
      ...media,
      device: deviceChoice(values.device ?? io.env['SUBREEL_DEVICE'] ?? 'auto'),
    })
    try {
      const judge = createJudge({ vmaf, media }, { measureRefused: true })
      const file = { id: basename(result), path: result }
      const [judged] =
        task === 'compression'
          ? await compression(judge, { reference, file, threshold, every, values }, io)
          : await judge.scoreUpscaling(
              {
                reference,
                results: [file],
                scale: oneOf(values.scale, ['2', '4'], '--scale') === '2' ? 2 : 4,
                every,
                ...(values.input === undefined ? {} : { input: values.input }),
              },
              io.signal,
            )
      const { record } = must(judged, 'the judged result')
      io.out(values.json ? JSON.stringify(record, null, 2) : explain(record))
      if (values.plot !== undefined) {
        await plot(record, { reference, result, threshold, every }, values.plot, io)
      }
      return 0
    } catch (error) {
      if (!within.expired) throw error
      throw new MediaError(
        { code: 'MEDIA_TIMEOUT', tool: 'score', timeoutMs },
        `the files were not judged within ${timeoutMs / 1000} s; give more with --timeout, or fewer frames with --every`,
        { cause: error },
      )
    } finally {
      await vmaf.close()
    }
  },
}

function compression(
  judge: Judge,
  of: {
    readonly reference: string
    readonly file: { readonly id: string; readonly path: string }
    readonly threshold: number
    readonly every: number
    readonly values: {
      readonly codec?: string | undefined
      readonly formula: string
      readonly mode: string
      readonly bitrate?: string | undefined
    }
  },
  io: CommandIo,
): Promise<readonly Judged[]> {
  const { codec, formula, mode, bitrate } = of.values
  const names = Object.keys(COMPRESSION_FORMULAS) as (keyof typeof COMPRESSION_FORMULAS)[]
  return judge.scoreCompression(
    {
      reference: of.reference,
      results: [of.file],
      threshold: of.threshold,
      every: of.every,
      formula: oneOf(formula, names, '--formula'),
      mode: oneOf(mode, ['CRF', 'VBR', 'CBR'], '--mode'),
      ...(codec === undefined
        ? {}
        : { codec: oneOf(codec, ['av1', 'hevc', 'h264', 'vp9'], '--codec') }),
      ...(bitrate === undefined ? {} : { targetMbps: number(bitrate, '--bitrate', 0.001, 10_000) }),
    },
    io.signal,
  )
}

/** ffmpeg and ffprobe as the environment names them. */
export function mediaTools(io: CommandIo): { ffmpegPath?: string; ffprobePath?: string } {
  const ffmpegPath = io.env['FFMPEG_PATH']
  const ffprobePath = io.env['FFPROBE_PATH']
  return {
    ...(ffmpegPath === undefined ? {} : { ffmpegPath }),
    ...(ffprobePath === undefined ? {} : { ffprobePath }),
  }
}

/** A record as a person reads it. */
export function explain(record: ScoreRecord): string {
  const lines = [`score   ${record.score.toFixed(4)} of 1`, `reason  ${record.reason}`, '', 'gates']
  for (const gate of record.gates) {
    lines.push(`  ${gate.passed ? ' ok ' : 'FAIL'}  ${gate.code.padEnd(16)} ${gate.detail}`)
  }
  const { vmaf, vmafNeg } = record.metrics
  if (vmaf !== undefined && vmafNeg !== undefined) {
    lines.push('', 'metrics      harmonic mean     mean      min       p5   frames')
    const series = { VMAF: vmaf, 'VMAF NEG': vmafNeg }
    for (const [name, of] of Object.entries(series)) {
      const numbers = [of.harmonicMean, of.mean, of.min, of.percentiles.p5]
      const cells = numbers.map((value, i) => value.toFixed(2).padStart(i === 0 ? 14 : 9))
      lines.push(`  ${name.padEnd(9)}${cells.join('')}${String(of.frames.length).padStart(9)}`)
    }
  }
  const models = record.models.map((model) => `${model.name} ${model.sha256.slice(0, 12)}`)
  lines.push(
    '',
    `formula ${record.formula.name}`,
    ...(record.device === undefined ? [] : [`device  ${record.device}`]),
    ...(models.length === 0 ? [] : [`models  ${models.join(', ')}`]),
  )
  return lines.join('\n')
}

async function plot(
  record: ScoreRecord,
  of: {
    readonly reference: string
    readonly result: string
    readonly threshold: number
    readonly every: number
  },
  path: string,
  io: CommandIo,
): Promise<void> {
  const { vmaf, vmafNeg } = record.metrics
  if (vmaf === undefined || vmafNeg === undefined) {
    io.err(
      'no plot: the frames of the two files could not be compared, so there is nothing to draw',
    )
    return
  }
  const png = await drawPlot(
    {
      reference: of.reference,
      result: of.result,
      title: `${basename(of.result)} — score ${record.score.toFixed(4)}`,
      vmaf,
      vmafNeg,
      threshold: record.task === 'compression' ? of.threshold : undefined,
      every: of.every,
    },
    { ...mediaTools(io), signal: io.signal },
  )
  await writeFile(path, png)
}

function usageError(problem: string): CliError {
  return new CliError({ code: 'CLI_USAGE', verb: 'score' }, `${problem}\n\n${USAGE}`)
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined || value === '') throw usageError(`${flag} is missing`)
  return value
}

function oneOf<const T extends string>(value: string, allowed: readonly T[], flag: string): T {
  const found = allowed.find((word) => word === value)
  if (found === undefined) throw usageError(`${flag} must be one of ${allowed.join(', ')}`)
  return found
}

function number(text: string, flag: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw usageError(`${flag} must be a number from ${min} to ${max}`)
  }
  return value
}

function deviceChoice(text: string): 'auto' | 'cpu' | 'cuda' | `cuda:${number}` {
  if (text === 'auto' || text === 'cpu' || text === 'cuda') return text
  const index = /^cuda:(\d{1,3})$/.exec(text)?.[1]
  if (index === undefined) throw usageError('--device must be auto, cpu, cuda or cuda:N')
  return `cuda:${Number(index)}`
}
