import { fileUrl, hostileInput, type MediaTools, runFfmpeg } from '../media/index.js'
import type { CorpusClip, Cut, Degradation } from './types.js'

export interface ChallengeOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
}

/** Reference quality: high enough that a miner's codec, not ours, decides what is lost. */
const REFERENCE_CRF = '12'

const MAX_CHALLENGE_MS = 10 * 60_000

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
  source: string,
  clip: CorpusClip,
  cut: Cut,
  output: string,
  fps: string,
  multiple: number,
  options: ChallengeOptions = {},
): Promise<void> {
  const filters = [...variationFilters(clip, cut, multiple), `fps=${fps}`]
  await encode(
    source,
    ['-ss', String(cut.startSeconds), '-t', String(cut.seconds)],
    filters,
    REFERENCE_CRF,
    output,
    options,
  )
}

/** Writes what an upscaling miner gets: the reference, scaled down and worn as real sources are. */
export async function makeLowResolution(
  reference: string,
  scale: 2 | 4,
  degradation: Degradation,
  output: string,
  options: ChallengeOptions = {},
): Promise<void> {
  const filters = [
    ...(degradation.blur > 0 ? [`gblur=sigma=${degradation.blur}`] : []),
    `scale=iw/${scale}:ih/${scale}:flags=${degradation.scaler}`,
  ]
  await encode(reference, [], filters, String(degradation.crf), output, options)
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

async function encode(
  input: string,
  before: readonly string[],
  filters: readonly string[],
  crf: string,
  output: string,
  options: ChallengeOptions,
): Promise<void> {
  await runFfmpeg(
    [
      ...hostileInput(input, before),
      ...['-map', '0:v:0', '-an', '-map_metadata', '-1', '-vf', filters.join(',')],
      ...['-c:v', 'libx264', '-preset', 'fast', '-crf', crf, '-pix_fmt', 'yuv420p'],
      // Constant tags: a miner must carry them over, so they must be there.
      ...['-color_primaries', 'bt709', '-color_trc', 'bt709', '-colorspace', 'bt709'],
      ...['-movflags', '+faststart', '-f', 'mp4', fileUrl(output)],
    ],
    { ...options, timeoutMs: MAX_CHALLENGE_MS },
  )
}
