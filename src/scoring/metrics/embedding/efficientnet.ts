import { type MediaTools, probeVideo, readFrames } from '../../../media/index.js'
import { MetricsError } from '../errors.js'
import { SessionManager, type SessionOptions } from '../session.js'
import { type Embedder, meanDirection, runRows } from './embedder.js'
import { spreadFrames } from './sampling.js'

const MODEL = 'efficientnet_lite0'
const SIDE = 224
const WIDTH = 1280
/** Frames looked at, spread evenly over the clip. */
const FRAMES = 10
/** Working memory of one frame in the network, in bytes. */
const BYTES_PER_FRAME = 32 * 1024 ** 2

/**
 * The embedder that ships: EfficientNet-Lite0 (Apache-2.0) over ten frames. It tells another clip (cosine
 * around 0.2) from a compressed copy (0.7–0.99); it does not hear.
 */
export async function createEfficientNetEmbedder(
  options: SessionOptions & MediaTools = {},
): Promise<Embedder> {
  const sessions = await SessionManager.create(options)
  const { name, sha256 } = sessions.entry(MODEL)
  return {
    name: 'efficientnet-lite0',
    hears: false,
    models: [{ name, sha256 }],
    close: () => sessions.close(),
    async embed(file, { signal } = {}) {
      const media = { ...options, signal }
      const { video } = await probeVideo(file, media)
      const wanted = new Set(spreadFrames(video.frames, FRAMES))
      const frames: ArrayBuffer[] = []
      const reading = readFrames(file, {
        ...media,
        pixelFormat: 'rgb24',
        width: SIDE,
        height: SIDE,
      })
      for await (const { index, data } of reading) {
        if (wanted.has(index)) frames.push(data.buffer as ArrayBuffer)
        if (frames.length === wanted.size) break
      }
      if (frames.length === 0) {
        throw new MetricsError(
          { code: 'METRICS_NO_FRAMES', path: file },
          'the file has no frame that decodes',
        )
      }
      const input = { name: 'frames', type: 'uint8' as const, dims: [SIDE, SIDE, 3] }
      const { rows, device } = await runRows(sessions, MODEL, input, frames, BYTES_PER_FRAME)
      return { video: meanDirection(rows, WIDTH), audio: undefined, device }
    },
  }
}
