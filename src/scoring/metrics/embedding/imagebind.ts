import { must } from '../../../lib/errors.js'
import {
  hostileInput,
  type MediaTools,
  probe,
  readFrames,
  runFfmpeg,
} from '../../../media/index.js'
import type { MediaInfo } from '../../../media/types.js'
import { MetricsError } from '../errors.js'
import { SessionManager, type SessionOptions } from '../session.js'
import { type Embedder, meanDirection, runRows } from './embedder.js'
import { logMelFilterBank } from './fbank.js'
import { type Planes, planesOf, scaleShortSide, threeCrops } from './resize.js'
import { clipFrames, clipTimes } from './sampling.js'

const VISION = 'imagebind_vision'
const AUDIO = 'imagebind_audio'
const WIDTH = 1024
const CLIPS = 10
const CLIP_SECONDS = 2
const SIDE = 224
const PIXEL_MEAN = [0.48145466, 0.4578275, 0.40821073]
const PIXEL_SPREAD = [0.26862954, 0.26130258, 0.27577711]
const SAMPLE_RATE = 16_000
const MEL_BINS = 128
const MEL_FRAMES = 204
const MEL_MEAN = -4.268
const MEL_SPREAD = 9.138
/** Working memory of one crop in the network, in bytes. */
const BYTES_PER_ITEM = 512 * 1024 ** 2

type Media = MediaTools & { readonly signal?: AbortSignal | undefined }

/**
 * ImageBind over ten clips of two seconds, picture and sound, prepared as the published code does
 * (facebookresearch/ImageBind, imagebind/data.py). The models come from scripts/export and an operator's own
 * weights (docs/models.md): their licence forbids commercial use, so they do not ship. `modelsFolder` holds
 * them with a manifest. Throws METRICS_MODEL_MISSING without them.
 */
export async function createImageBindEmbedder(
  options: SessionOptions & MediaTools & { readonly modelsFolder: string },
): Promise<Embedder> {
  const sessions = await SessionManager.create(options)
  let models: { name: string; sha256: string }[]
  try {
    models = [VISION, AUDIO].map((model) => {
      const { name, sha256 } = sessions.entry(model)
      return { name, sha256 }
    })
  } catch (error) {
    await sessions.close()
    throw error
  }
  return {
    name: 'imagebind',
    hears: true,
    models,
    close: () => sessions.close(),
    async embed(file, { signal } = {}) {
      const media = { ...options, signal }
      const info = await probe(file, media)
      const crops = await visionInput(file, info, media)
      const vision = { name: 'clips', type: 'float32' as const, dims: [3, 2, SIDE, SIDE] }
      const seen = await runRows(sessions, VISION, vision, crops, BYTES_PER_ITEM)
      const spectra = info.audio === undefined ? [] : await audioInput(file, media)
      const audio = { name: 'spectra', type: 'float32' as const, dims: [1, MEL_BINS, MEL_FRAMES] }
      const heard =
        spectra.length === 0
          ? undefined
          : await runRows(sessions, AUDIO, audio, spectra, BYTES_PER_ITEM)
      return {
        video: meanDirection(seen.rows, WIDTH),
        audio: heard === undefined ? undefined : meanDirection(heard.rows, WIDTH),
        device: seen.device,
      }
    },
  }
}

/** Three crops of each clip, each [3, 2, 224, 224] float32, normalised. */
export async function visionInput(
  file: string,
  info: MediaInfo,
  media: Media,
): Promise<ArrayBuffer[]> {
  const video = info.video
  if (video === undefined || video.frames === 0) {
    throw new MetricsError(
      { code: 'METRICS_NO_FRAMES', path: file },
      'the file has no frame that decodes',
    )
  }
  const fps = video.fps.num / video.fps.den || 1
  const times = clipTimes(info.durationSeconds, CLIP_SECONDS, CLIPS)
  const perClip = times
    .map((time) => clipFrames(time, fps, video.frames, 2))
    .filter((indexes) => indexes.length > 0)
  const wanted = new Set(perClip.flat())
  const scaled = new Map<number, Planes[]>()
  for await (const frame of readFrames(file, { ...media, pixelFormat: 'rgb24' })) {
    if (!wanted.has(frame.index)) continue
    const planes = planesOf(frame.data, frame.width, frame.height)
    scaled.set(frame.index, threeCrops(normalise(scaleShortSide(planes, SIDE)), SIDE))
    if (scaled.size === wanted.size) break
  }
  return perClip
    .filter((indexes) => indexes.every((index) => scaled.has(index)))
    .flatMap((indexes) =>
      [0, 1, 2].map((place) =>
        interleave(indexes.map((index) => must(scaled.get(index)?.[place], 'crop'))),
      ),
    )
}

function normalise(planes: Planes): Planes {
  const pixels = planes.width * planes.height
  const data = planes.data.map((value, i) => {
    const channel = Math.floor(i / pixels)
    return (value - (PIXEL_MEAN[channel] ?? 0)) / (PIXEL_SPREAD[channel] ?? 1)
  })
  return { ...planes, data }
}

/** Frames [3, h, w] each to one [3, frames, h, w]. */
function interleave(frames: readonly Planes[]): ArrayBuffer {
  const pixels = SIDE * SIDE
  const data = new Float32Array(3 * frames.length * pixels)
  for (const [t, frame] of frames.entries()) {
    for (let c = 0; c < 3; c += 1) {
      const plane = frame.data.subarray(c * pixels, (c + 1) * pixels)
      data.set(plane, (c * frames.length + t) * pixels)
    }
  }
  return data.buffer
}

/** Log mel spectra of the clips, each [1, 128, 204] float32, normalised; none when there is no sound. */
export async function audioInput(file: string, media: Media): Promise<ArrayBuffer[]> {
  const { stdout } = await runFfmpeg(
    [
      ...hostileInput(file),
      ...['-map', '0:a:0', '-vn', '-af', `pan=mono|c0=c0,aresample=${SAMPLE_RATE}`],
      ...['-f', 'f32le', 'pipe:1'],
    ],
    { ...media, timeoutMs: 120_000, maxStdoutBytes: 512 * 1024 ** 2 },
  )
  const whole = stdout.subarray(0, stdout.length - (stdout.length % 4))
  const samples = new Float32Array(whole.length / 4)
  new Uint8Array(samples.buffer).set(whole)
  const seconds = samples.length / SAMPLE_RATE
  return clipTimes(seconds, CLIP_SECONDS, CLIPS)
    .map(({ startSeconds, endSeconds }) =>
      samples.subarray(
        Math.floor(startSeconds * SAMPLE_RATE),
        Math.floor(endSeconds * SAMPLE_RATE),
      ),
    )
    .map(spectrum)
    .filter((input) => input !== undefined)
}

/** One clip's spectrum, mel by time, cut or filled with zeros to 204 frames, then normalised. */
function spectrum(clip: Float32Array): ArrayBuffer | undefined {
  const { frames, values } = logMelFilterBank(clip, SAMPLE_RATE, MEL_BINS)
  if (frames === 0) return undefined
  const data = new Float32Array(MEL_BINS * MEL_FRAMES)
  for (let bin = 0; bin < MEL_BINS; bin += 1) {
    for (let t = 0; t < MEL_FRAMES; t += 1) {
      const value = t < frames ? (values[t * MEL_BINS + bin] ?? 0) : 0
      data[bin * MEL_FRAMES + t] = (value - MEL_MEAN) / MEL_SPREAD
    }
  }
  return data.buffer
}
