import { rm, stat, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { mapLimit } from '../../lib/loop.js'
import { fileUrl, hostileInput, type MediaTools, runFfmpeg } from '../../media/index.js'
import { EngineError } from '../errors.js'
import type { Shot } from './analyse.js'
import { keepingOf } from './copies.js'
import type { Encoder, EncodeSettings } from './encoders.js'
import { countFrames, type EncodeOptions, encode, type Source } from './source.js'

type PieceOptions = MediaTools & { readonly signal: AbortSignal }

/** Outputs of one ffmpeg: each holds an encoder. */
const PIECES_PER_RUN = 12

/** Lossless copies of ranges of a source, from one decode for every dozen. */
export async function cutPieces(
  source: Source,
  ranges: readonly Shot[],
  workDir: string,
  options: PieceOptions,
): Promise<readonly Source[]> {
  const { extension, args } = await keepingOf(source.video, source.frames, workDir)
  const pieces = ranges.map(({ start, end }, i) => ({
    path: join(workDir, `piece-${i}.${extension}`),
    frames: end - start,
    video: source.video,
    range: { start, end },
  }))
  const { num, den } = source.video.fps
  for (let first = 0; first < pieces.length; first += PIECES_PER_RUN) {
    const batch = pieces.slice(first, first + PIECES_PER_RUN)
    const split = `[0:v]split=${batch.length}${batch.map((_, i) => `[s${i}]`).join('')}`
    const trims = batch.map(({ range }, i) => {
      const trim = `trim=start_frame=${range.start}:end_frame=${range.end}`
      return `[s${i}]${trim},setpts=N/(${num}/${den})/TB[p${i}]`
    })
    const outputs = batch.flatMap(({ path }, i) => [
      ...['-map', `[p${i}]`, '-r', `${num}/${den}`, ...args, fileUrl(path)],
    ])
    await runFfmpeg(
      [
        '-noautorotate',
        ...hostileInput(source.path),
        ...['-filter_complex', [split, ...trims].join(';'), ...outputs],
      ],
      options,
    )
  }
  return pieces.map(({ range: _, ...piece }) => piece)
}

/** One lossless clip of windows spread over a source: what a search may try things on. */
export async function cutSample(
  source: Source,
  windows: readonly Shot[],
  workDir: string,
  options: PieceOptions,
): Promise<Source> {
  const { num, den } = source.video.fps
  const frames = windows.reduce((sum, { start, end }) => sum + end - start, 0)
  const { extension, args } = await keepingOf(source.video, frames, workDir)
  const output = join(workDir, `sample.${extension}`)
  const chosen = windows.map(({ start, end }) => `between(n,${start},${end - 1})`).join('+')
  await runFfmpeg(
    [
      '-noautorotate',
      ...hostileInput(source.path),
      ...['-map', '0:v:0', '-an', '-sn', '-dn'],
      ...['-vf', `select='${chosen}',setpts=N/(${num}/${den})/TB`, '-r', `${num}/${den}`],
      ...[...args, fileUrl(output)],
    ],
    options,
  )
  return { path: output, frames, video: source.video }
}

/** `count` windows of `length` frames, evenly spread and apart; the whole when they would cover it. */
export function sampleWindows(frames: number, count: number, length: number): readonly Shot[] {
  if (count * length >= frames) return [{ start: 0, end: frames }]
  return Array.from({ length: count }, (_, i) => {
    const start = Math.round(((i + 0.5) * frames) / count - length / 2)
    return { start, end: start + length }
  })
}

/**
 * Ranges of about `target` frames that begin where shots begin, so that a key frame there costs
 * nothing; fewer when shots are longer.
 */
export function chunkRanges(shots: readonly Shot[], target: number): readonly Shot[] {
  const out: Shot[] = []
  let start = 0
  for (const [i, shot] of shots.entries()) {
    const last = i === shots.length - 1
    if (!last && shot.end - start < target) continue
    out.push({ start, end: shot.end })
    start = shot.end
  }
  return out
}

/** Encoded pieces, in order, as one stream: packets are copied, time runs on. */
export async function joinPieces(
  pieces: readonly string[],
  output: string,
  workDir: string,
  options: PieceOptions,
): Promise<void> {
  const list = join(workDir, 'pieces.ffconcat')
  const lines = pieces.map((path) => `file 'file:${path.replaceAll("'", "'\\''")}'`)
  await writeFile(list, `ffconcat version 1.0\n${lines.join('\n')}\n`)
  try {
    await runFfmpeg(
      [
        ...['-f', 'concat', '-safe', '0', '-i', fileUrl(list)],
        ...['-map', '0:v:0', '-c', 'copy', '-f', 'mp4', fileUrl(output)],
      ],
      { ...options, reads: pieces },
    )
  } finally {
    await rm(list, { force: true })
  }
}

/** Encodes ranges side by side, each with its share of the cores, and joins them. A failure fails all. */
export async function encodeInChunks(
  source: Source,
  ranges: readonly Shot[],
  output: string,
  encoder: Encoder,
  settings: EncodeSettings,
  { workDir, parallel, ...options }: EncodeOptions & { workDir: string; parallel: number },
): Promise<number> {
  const { signal, onProgress: _, ...tools } = options
  const threads = Math.max(1, Math.floor(availableParallelism() / parallel))
  const stop = new AbortController()
  const together = AbortSignal.any([signal, stop.signal])
  const paths = ranges.map((_range, i) => `${output}.${i}.mp4`)
  try {
    await mapLimit(ranges, parallel, async (range, i) => {
      const chunk = { ...source, frames: range.end - range.start, startFrame: range.start }
      const each = { ...tools, signal: together }
      try {
        await encode(chunk, paths[i] ?? output, encoder, { ...settings, threads }, each)
      } catch (error) {
        stop.abort()
        throw error
      }
    })
    await joinPieces(paths, output, workDir, { ...tools, signal })
  } finally {
    await Promise.all(paths.map((path) => rm(path, { force: true })))
  }
  const frames = await countFrames(output, { ...tools, signal })
  if (frames !== source.frames) {
    throw new EngineError(
      {
        code: 'ENGINE_OUTPUT_INVALID',
        what: 'frames',
        expected: `${source.frames}`,
        actual: `${frames}`,
      },
      `the joined chunks have ${frames} frames of ${source.frames}`,
    )
  }
  return (await stat(output)).size
}
