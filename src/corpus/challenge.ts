import { rm } from 'node:fs/promises'
import { fileUrl, hostileInput, type MediaTools, runFfmpeg } from '../media/index.js'
import type { CorpusClip, Cut, Degradation } from './types.js'

export interface ChallengeOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
}

/** Reference quality: high enough that a miner's codec, not ours, decides what is lost. */
const REFERENCE_CRF = '12'

const MAX_CHALLENGE_MS = 10 * 60_000

/** A clip of the corpus and the file it is in. */
export interface Source {
  readonly path: string
  readonly clip: CorpusClip
}

/**
 * ffmpeg's filter chain for a cut: only numbers that we drew go into it. The picture's sides become
 * multiples of `multiple`, so that an exact scaled-down version exists.
 */
export function variationFilters(
  clip: CorpusClip,
  { variation: v }: Cut,
  multiple: number,
): string[] {
  const side = (length: number) =>
    Math.max(multiple, Math.floor((length * (1 - v.crop)) / multiple) * multiple)
  const [width, height] = [side(clip.width), side(clip.height)]
  const x = Math.round((clip.width - width) * v.cropX)
  const y = Math.round((clip.height - height) * v.cropY)
  return [
    `crop=${width}:${height}:${x}:${y}:exact=1`,
    ...(v.mirror ? ['hflip'] : []),
    `hue=h=${v.hue}:s=${v.saturation}`,
    `eq=brightness=${v.brightness}`,
    ...(v.grain >= 1 ? [`noise=alls=${Math.round(v.grain)}:allf=t:all_seed=${v.grainSeed}`] : []),
    `setpts=PTS/${v.speed}`,
  ]
}

/** Writes the reference of a challenge: the cut, changed, at high quality. */
export async function makeReference(
  source: Source & { readonly fps: string },
  cut: Cut,
  multiple: number,
  overlay: Source | undefined,
  output: string,
  options: ChallengeOptions = {},
): Promise<void> {
  const filters = variationFilters(source.clip, cut, multiple).join(',')
  // Square pixels: a result must have them, and an honest miner keeps those it was sent.
  const fps = `fps=${source.fps},setsar=1`
  const seconds = ['-t', String(cut.seconds)]
  const input = hostileInput(source.path, ['-ss', String(cut.startSeconds), ...seconds])
  const placed = cut.variation.overlay
  if (overlay === undefined || placed === undefined) {
    const graph = ['-vf', `${filters},${fps}`, '-map', '0:v:0']
    await encode([...input, ...graph], x264(REFERENCE_CRF), output, options)
    return
  }
  // Ends before the clip below does even at its fastest, or its last frame would stand still there.
  const shorter = ['-t', String(cut.seconds / 1.2)]
  const second = hostileInput(overlay.path, ['-ss', String(placed.startSeconds), ...shorter])
  const width = even(source.clip.width * placed.size)
  const height = even((width * overlay.clip.height) / overlay.clip.width)
  const graph = [
    `[0:v:0]${filters}[below]`,
    `[1:v:0]scale=${width}:${height},setsar=1[above]`,
    `[below][above]overlay=x=(W-w)*${placed.x}:y=(H-h)*${placed.y}:eof_action=repeat,${fps}[out]`,
  ].join(';')
  const mapped = ['-filter_complex', graph, '-map', '[out]']
  await encode([...input, ...second, ...mapped], x264(REFERENCE_CRF), output, options)
}

const even = (length: number): number => Math.max(2, 2 * Math.round(length / 2))

/** Writes what an upscaling miner gets: the reference, scaled down and worn as real sources are. */
export async function makeLowResolution(
  reference: string,
  scale: 2 | 4,
  degradation: Degradation,
  output: string,
  options: ChallengeOptions = {},
): Promise<void> {
  const { blur, scaler, noise, noiseSeed, before, crf } = degradation
  const filters = [
    ...(blur > 0 ? [`gblur=sigma=${blur}`] : []),
    `scale=iw/${scale}:ih/${scale}:flags=${scaler}`,
    ...(noise >= 0.5 ? [`noise=c0s=${Math.round(noise)}:c0f=t:all_seed=${noiseSeed}`] : []),
  ]
  const graph = ['-vf', filters.join(','), '-map', '0:v:0']
  if (before === undefined) {
    await encode([...hostileInput(reference), ...graph], x264(String(crf)), output, options)
    return
  }
  const first = `${output}.first.mp4`
  try {
    const old = ['-c:v', before.codec, '-q:v', String(before.quality)]
    await encode([...hostileInput(reference), ...graph], old, first, options)
    const again = [...hostileInput(first), '-map', '0:v:0']
    await encode(again, x264(String(crf)), output, options)
  } finally {
    await rm(first, { force: true })
  }
}

/** Writes one frame of a clip as PNG. */
export async function makeStill(
  source: string,
  at: { readonly seconds: number; readonly mirror: boolean },
  output: string,
  options: ChallengeOptions = {},
): Promise<void> {
  await runFfmpeg(
    [
      ...hostileInput(source, ['-ss', String(at.seconds)]),
      ...['-map', '0:v:0', '-frames:v', '1', ...(at.mirror ? ['-vf', 'hflip'] : [])],
      ...['-f', 'image2', '-update', '1', '-c:v', 'png', fileUrl(output)],
    ],
    { ...options, timeoutMs: MAX_CHALLENGE_MS },
  )
}

const x264 = (crf: string) => ['-c:v', 'libx264', '-preset', 'fast', '-crf', crf]

async function encode(
  before: readonly string[],
  codec: readonly string[],
  output: string,
  options: ChallengeOptions,
): Promise<void> {
  await runFfmpeg(
    [
      ...before,
      ...['-an', '-map_metadata', '-1', ...codec, '-pix_fmt', 'yuv420p'],
      // Constant tags: a miner must carry them over, so they must be there.
      ...['-color_primaries', 'bt709', '-color_trc', 'bt709', '-colorspace', 'bt709'],
      ...['-movflags', '+faststart', '-f', 'mp4', fileUrl(output)],
    ],
    { ...options, timeoutMs: MAX_CHALLENGE_MS },
  )
}
