import { join } from 'node:path'
import { fileUrl, type MediaCallOptions, probeVideo, runFfmpeg } from '../media/index.js'

/**
 * A clip of a few frames (64x64, lossless) in `folder`, for an engine to try itself on. Making it and
 * looking at it shows that ffmpeg and ffprobe are there and work. @throws MediaError
 */
export async function trialClip(
  folder: string,
  options: MediaCallOptions,
  { frames = 2, encoder = ['-c:v', 'ffv1'] as readonly string[] } = {},
): Promise<string> {
  const path = join(folder, 'trial.mkv')
  const pattern = `testsrc2=size=64x64:rate=25:duration=${frames / 25}`
  await runFfmpeg(
    ['-f', 'lavfi', '-i', pattern, ...encoder, '-pix_fmt', 'yuv420p', fileUrl(path)],
    options,
  )
  await probeVideo(path, options)
  return path
}
