import { type MediaCallOptions, probeVideo, type VideoStreamInfo } from '../../media/index.js'
import { EngineError } from '../errors.js'

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
