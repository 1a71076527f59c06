import { createHash } from 'node:crypto'
import sharp, { type KernelEnum } from 'sharp'
import { writeFrames } from '../media/index.js'
import { NodeException, type Pictures } from './types.js'

const CHANNELS = 3

/** Pictures of one colour: 0xRRGGBB. */
export function plain(width: number, height: number, count: number, color: number): Pictures {
  const frame = new Uint8Array(width * height * CHANNELS)
  for (let i = 0; i < frame.length; i += CHANNELS) {
    frame[i] = color >> 16
    frame[i + 1] = color >> 8
    frame[i + 2] = color
  }
  return { width, height, frames: Array.from({ length: count }, () => frame) }
}

export async function readPicture(path: string): Promise<Pictures> {
  const { data, info } = await sharp(path)
    .rotate()
    .removeAlpha()
    .toColorspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, frames: [data] }
}

const KERNELS: Readonly<Record<string, keyof KernelEnum>> = {
  'nearest-exact': 'nearest',
  bilinear: 'linear',
  area: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
}

/** Resizes; `center` cuts what does not fit the new shape, `disabled` stretches it. */
export async function scaled(
  pictures: Pictures,
  size: { readonly width: number; readonly height: number },
  options: { readonly method: string; readonly crop: boolean },
): Promise<Pictures> {
  const seen = new Map<Uint8Array, Uint8Array>()
  for (const frame of new Set(pictures.frames)) {
    const resized = await raw(frame, pictures)
      .resize({
        ...size,
        fit: options.crop ? 'cover' : 'fill',
        kernel: KERNELS[options.method] ?? 'cubic',
      })
      .raw()
      .toBuffer()
    seen.set(frame, resized)
  }
  return { ...size, frames: pictures.frames.map((frame) => seen.get(frame) ?? frame) }
}

/** Every sample plus normal noise of this deviation, in shares of white. */
export function noisy(pictures: Pictures, seed: number, strength: number): Pictures {
  const frames = pictures.frames.map((frame, index) => {
    const out = new Uint8Array(frame.length)
    const random = createHash('shake256', { outputLength: frame.length * 2 })
      .update(`noise ${seed} ${index}`)
      .digest()
    for (let i = 0; i < frame.length; i += 1) {
      // Two uniform bytes make a triangle: near enough to a normal distribution of deviation 0.41.
      const noise = ((random[2 * i] ?? 0) + (random[2 * i + 1] ?? 0)) / 255 - 1
      out[i] = Math.min(255, Math.max(0, (frame[i] ?? 0) + (noise / 0.41) * strength * 255))
    }
    return out
  })
  return { ...pictures, frames }
}

export function inverted(pictures: Pictures): Pictures {
  return { ...pictures, frames: pictures.frames.map((frame) => frame.map((v) => 255 - v)) }
}

/** Both lists, the second resized to the first. */
export async function joined(first: Pictures, second: Pictures): Promise<Pictures> {
  const same = first.width === second.width && first.height === second.height
  const { width, height } = first
  const fitting = same
    ? second
    : await scaled(second, { width, height }, { method: 'bilinear', crop: true })
  return { width, height, frames: [...first.frames, ...fitting.frames] }
}

/** `factor` of the second over the first, picture by picture. */
export function blended(first: Pictures, second: Pictures, factor: number): Pictures {
  const frames = first.frames.map((frame, index) => {
    const other = second.frames[Math.min(index, second.frames.length - 1)] ?? frame
    return frame.map((value, i) => value * (1 - factor) + (other[i] ?? value) * factor)
  })
  return { ...first, frames }
}

/**
 * Moving waves of colour that depend on a text and nothing else: what the samplers of this server make
 * in place of a model's pictures. `at` is the share of the clip, 0–1.
 */
export function waves(text: string, width: number, height: number, at: number): Uint8Array {
  const hash = createHash('sha256').update(text).digest()
  const byte = (i: number) => (hash[i] ?? 0) / 255
  const frame = new Uint8Array(width * height * CHANNELS)
  for (let c = 0; c < CHANNELS; c += 1) {
    const [fx, fy] = [2 + 10 * byte(c), 2 + 10 * byte(c + 3)]
    const [phase, speed] = [6.28 * byte(c + 6), 2 + 8 * byte(c + 9)]
    const [base, swing] = [60 + 135 * byte(c + 12), 30 + 30 * byte(c + 15)]
    const columns = Float32Array.from({ length: width }, (_, x) =>
      Math.sin((fx * x) / width + phase + speed * at),
    )
    for (let y = 0; y < height; y += 1) {
      const row = Math.sin((fy * y) / height + phase - speed * at)
      for (let x = 0; x < width; x += 1) {
        frame[(y * width + x) * CHANNELS + c] = base + swing * (row + (columns[x] ?? 0))
      }
    }
  }
  return frame
}

export async function toJpeg(pictures: Pictures): Promise<Buffer> {
  const [frame] = pictures.frames
  if (frame === undefined) return Buffer.alloc(0)
  return raw(frame, pictures).jpeg().toBuffer()
}

export async function savePng(frame: Uint8Array, size: Pictures, path: string): Promise<void> {
  await raw(frame, size).png({ compressionLevel: 4 }).toFile(path)
}

const CODECS: Readonly<Record<string, (quality: number) => readonly string[]>> = {
  h264: () => ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-preset', 'veryfast'],
  vp9: (crf) => ['-c:v', 'libvpx-vp9', '-b:v', '0', '-crf', `${crf}`, '-deadline', 'realtime'],
  av1: (crf) => ['-c:v', 'libsvtav1', '-crf', `${crf}`, '-preset', '10', '-pix_fmt', 'yuv420p'],
  webp: (quality) => ['-c:v', 'libwebp_anim', '-lossless', '0', '-quality', `${quality}`],
  'webp-lossless': () => ['-c:v', 'libwebp_anim', '-lossless', '1'],
}

/** Encodes pictures into a file; the name's ending says the container. */
export async function saveClip(
  pictures: Pictures,
  path: string,
  options: { codec: string; quality: number; fps: number; signal: AbortSignal },
): Promise<void> {
  const codec = CODECS[options.codec]
  // As the real SaveWEBM: its list of codecs is looked up, not checked.
  if (codec === undefined) throw new NodeException('KeyError', `'${options.codec}'`)
  // Encoders for 4:2:0 take even sizes only.
  const size = { width: pictures.width & ~1, height: pictures.height & ~1 }
  const even =
    size.width === pictures.width && size.height === pictures.height
      ? pictures
      : await scaled(pictures, size, { method: 'bilinear', crop: true })
  await using writer = await writeFrames(path, {
    ...size,
    pixelFormat: 'rgb24',
    fps: { num: Math.round(options.fps * 1000), den: 1000 },
    encoder: [...codec(options.quality), ...(path.endsWith('.webp') ? ['-loop', '0'] : [])],
    signal: options.signal,
    timeoutMs: 600_000,
  })
  for (const frame of even.frames) await writer.write(frame)
  await writer.end()
}

function raw(frame: Uint8Array, { width, height }: { width: number; height: number }) {
  return sharp(frame, { raw: { width, height, channels: CHANNELS } })
}
