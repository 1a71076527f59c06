import { type MediaCallOptions, runFfmpeg, unreadable } from './ffmpeg.js'
import { hostileInput } from './hostile.js'

/** Frames that the decoder really delivers, which packets only promise. Decodes the whole file. */
export async function decodedFrameCount(
  file: string,
  options: MediaCallOptions = {},
): Promise<number> {
  let frames = 0
  const args = [...hostileInput(file), '-map', '0:v:0', '-an', '-sn', '-dn']
  try {
    await runFfmpeg([...args, '-fps_mode', 'passthrough', '-f', 'null', '-'], {
      ...options,
      timeoutMs: options.timeoutMs ?? 600_000,
      onProgress: (progress) => {
        frames = progress.frame
      },
    })
  } catch (error) {
    throw unreadable(error, file)
  }
  return frames
}
