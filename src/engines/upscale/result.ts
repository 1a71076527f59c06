import {
  type MediaCallOptions,
  type MediaInfo,
  probeVideo,
  type VideoStreamInfo,
} from '../../media/index.js'
import { EngineError } from '../errors.js'

/** Codecs that MP4 carries as they are, with every ffmpeg since 5. */
const MP4_SOUND = new Set(['aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac'])

/** How sound gets into an MP4: copied where the container takes it, else AAC at a generous rate. */
export function soundArgs(info: MediaInfo): readonly string[] {
  if (info.audio === undefined) return []
  return MP4_SOUND.has(info.audio.codec) ? ['-c:a', 'copy'] : ['-c:a', 'aac', '-b:a', '256k']
}

/** Throws ENGINE_OUTPUT_INVALID unless the file has the frames, size, rate and turn it must have. */
export async function checkUpscaled(
  path: string,
  source: VideoStreamInfo,
  frames: number,
  scale: number,
  options: MediaCallOptions,
): Promise<void> {
  const { video } = await probeVideo(path, options)
  const rate = (of: VideoStreamInfo) => (of.fps.num / of.fps.den).toFixed(2)
  const facts: readonly (readonly [string, string, string])[] = [
    ['frames', `${frames}`, `${video.frames}`],
    ['size', `${source.width * scale}x${source.height * scale}`, `${video.width}x${video.height}`],
    ['frame rate', rate(source), rate(video)],
    ['rotation', `${source.rotation}`, `${video.rotation}`],
  ]
  for (const [what, expected, actual] of facts) {
    if (expected === actual) continue
    throw new EngineError(
      { code: 'ENGINE_OUTPUT_INVALID', what, expected, actual },
      `the upscaled file has ${what} ${actual}, expected ${expected}`,
    )
  }
}
