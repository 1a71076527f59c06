import { join } from 'node:path'
import {
  blended,
  inverted,
  joined,
  noisy,
  plain,
  readPicture,
  saveClip,
  savePng,
  scaled,
  waves,
} from './pictures.js'
import {
  type InputSpec,
  type NodeClass,
  type NodeContext,
  NodeException,
  type Pictures,
  type SavedFile,
} from './types.js'

interface Video {
  readonly images: Pictures
  readonly fps: number
}

/** A clip that is not drawn yet. `text` is all that it depends on. */
interface Latent {
  readonly width: number
  readonly height: number
  readonly frames: number
  readonly text: string
}

const int = (min: number, max: number, value = min): InputSpec => ({
  type: 'INT',
  min,
  max,
  default: value,
})
const float = (min: number, max: number, value = min): InputSpec => ({
  type: 'FLOAT',
  min,
  max,
  default: value,
})
const list = (...options: readonly string[]): InputSpec => ({ type: 'COMBO', options })
const modern = (spec: InputSpec): InputSpec => ({ ...spec, modern: true })
const optional = (spec: InputSpec): InputSpec => ({ ...spec, optional: true })
const link = (type: string): InputSpec => ({ type })
const text: InputSpec = { type: 'STRING', default: '' }
const model: InputSpec = { type: 'COMBO', options: (server) => server.models }
const picture: InputSpec = {
  type: 'COMBO',
  options: (server) => server.inputs,
  check: (value, server) =>
    server.inputs.includes(String(value)) ? undefined : `Invalid image file: ${value}`,
}
const side = int(1, 16_384, 512)
const seed = int(0, 2 ** 64)
const methods = list('nearest-exact', 'bilinear', 'area', 'bicubic', 'lanczos')
const image = link('IMAGE')
const prefix: InputSpec = { type: 'STRING', default: 'ComfyUI' }

const number = (value: unknown) => Number(value)
const pictures = (value: unknown) => value as Pictures
const give = (...outputs: unknown[]) => ({ outputs })

function reserved(context: NodeContext, made: Pictures) {
  context.reserve(made.width, made.height, made.frames.length)
  return give(made)
}

async function saved(
  context: NodeContext,
  images: Pictures,
  target: { prefix: unknown; extension: string },
  encoding: { codec: string; quality: number; fps: number },
) {
  const [file] = await context.nextFile(String(target.prefix), target.extension)
  if (file === undefined) throw new NodeException('OSError', 'no file name is left')
  await saveClip(images, file.path, { ...encoding, signal: context.signal })
  return { outputs: [], ui: { images: [file.file], animated: [true] } }
}

/** Loads a model of which only the name matters. */
const loader = (input: string, type: string, more: NodeClass['inputs'] = {}): NodeClass => ({
  inputs: { [input]: model, ...more },
  outputs: [type],
  run: async (inputs, context) => {
    await context.load(String(inputs[input]))
    return give(inputs[input])
  },
})

const emptyClip = (width: unknown, height: unknown, length: unknown, batch: unknown): Latent => ({
  width: number(width),
  height: number(height),
  frames: number(length) * number(batch),
  text: '',
})

const clipInputs = {
  width: int(16, 16_384, 832),
  height: int(16, 16_384, 480),
  length: int(1, 16_384, 33),
  batch_size: int(1, 4096),
}

async function decode(latent: Latent, context: NodeContext, tiled: boolean) {
  const { width, height } = latent
  // Decoding in tiles is what saves memory on a real server.
  context.reserve(width, height, tiled ? Math.ceil(latent.frames / 4) : latent.frames)
  const frames: Uint8Array[] = []
  for (let i = 0; i < latent.frames; i += 1) {
    frames.push(waves(latent.text, width, height, i / Math.max(1, latent.frames)))
    await context.progress(i + 1, latent.frames)
  }
  return give({ width, height, frames })
}

/**
 * Classes of an unmodified ComfyUI. Those that handle pictures do what the real ones do. Those of models
 * (loaders, samplers, decoders) take their place on the wire and in time; what they draw are waves
 * of colour that depend on the prompt and the seed.
 */
export const NODES: Readonly<Record<string, NodeClass>> = {
  LoadImage: {
    inputs: { image: picture },
    outputs: ['IMAGE', 'MASK'],
    run: async (inputs, context) => {
      const loaded = await readPicture(join(context.inputDir, String(inputs['image'])))
      return give(loaded, undefined)
    },
  },
  EmptyImage: {
    inputs: { width: side, height: side, batch_size: int(1, 4096), color: int(0, 0xffffff) },
    outputs: ['IMAGE'],
    run: async ({ width, height, batch_size, color }, context) =>
      reserved(context, plain(number(width), number(height), number(batch_size), number(color))),
  },
  ImageScale: {
    inputs: {
      image,
      upscale_method: methods,
      width: side,
      height: side,
      crop: list('disabled', 'center'),
    },
    outputs: ['IMAGE'],
    run: async (inputs, context) => {
      const source = pictures(inputs['image'])
      const size = { width: number(inputs['width']), height: number(inputs['height']) }
      context.reserve(size.width, size.height, source.frames.length)
      const crop = inputs['crop'] === 'center'
      return give(await scaled(source, size, { method: String(inputs['upscale_method']), crop }))
    },
  },
  ImageScaleBy: {
    inputs: { image, upscale_method: methods, scale_by: float(0.01, 8, 1) },
    outputs: ['IMAGE'],
    run: async (inputs, context) => {
      const source = pictures(inputs['image'])
      const by = number(inputs['scale_by'])
      const size = {
        width: Math.max(1, Math.round(source.width * by)),
        height: Math.max(1, Math.round(source.height * by)),
      }
      context.reserve(size.width, size.height, source.frames.length)
      const method = String(inputs['upscale_method'])
      return give(await scaled(source, size, { method, crop: false }))
    },
  },
  ImageInvert: {
    inputs: { image },
    outputs: ['IMAGE'],
    run: async (inputs, context) => reserved(context, inverted(pictures(inputs['image']))),
  },
  ImageBlend: {
    inputs: {
      image1: image,
      image2: image,
      blend_factor: float(0, 1, 0.5),
      blend_mode: list('normal'),
    },
    outputs: ['IMAGE'],
    run: async ({ image1, image2, blend_factor }, context) =>
      reserved(context, blended(pictures(image1), pictures(image2), number(blend_factor))),
  },
  ImageAddNoise: {
    inputs: { image, seed, strength: float(0, 1, 0.5) },
    outputs: ['IMAGE'],
    run: async (inputs, context) =>
      reserved(
        context,
        noisy(pictures(inputs['image']), number(inputs['seed']), number(inputs['strength'])),
      ),
  },
  ImageBatch: {
    inputs: { image1: image, image2: image },
    outputs: ['IMAGE'],
    run: async ({ image1, image2 }, context) =>
      reserved(context, await joined(pictures(image1), pictures(image2))),
  },
  RepeatImageBatch: {
    inputs: { image, amount: int(1, 4096) },
    outputs: ['IMAGE'],
    run: async (inputs, context) => {
      const source = pictures(inputs['image'])
      const amount = number(inputs['amount'])
      context.reserve(source.width, source.height, source.frames.length * amount)
      return give({ ...source, frames: Array(amount).fill(source.frames).flat() })
    },
  },
  ImageFromBatch: {
    inputs: { image, batch_index: int(0, 4095), length: int(1, 4096) },
    outputs: ['IMAGE'],
    run: async (inputs) => {
      const source = pictures(inputs['image'])
      const start = Math.min(number(inputs['batch_index']), source.frames.length - 1)
      return give({
        ...source,
        frames: source.frames.slice(start, start + number(inputs['length'])),
      })
    },
  },
  CreateVideo: {
    inputs: { images: image, fps: modern(float(1, 120, 30)) },
    outputs: ['VIDEO'],
    run: async (inputs): Promise<{ outputs: Video[] }> => ({
      outputs: [{ images: pictures(inputs['images']), fps: number(inputs['fps']) }],
    }),
  },
  SaveVideo: {
    inputs: {
      video: link('VIDEO'),
      filename_prefix: { ...prefix, default: 'video/ComfyUI' },
      format: modern(list('auto', 'mp4')),
      codec: modern(list('auto', 'h264')),
    },
    outputs: [],
    saves: true,
    run: async (inputs, context) => {
      const { images, fps } = inputs['video'] as Video
      const codec = inputs['codec'] === 'auto' ? 'h264' : String(inputs['codec'])
      const target = { prefix: inputs['filename_prefix'], extension: 'mp4' }
      return saved(context, images, target, { codec, quality: 23, fps })
    },
  },
  SaveWEBM: {
    inputs: {
      images: image,
      filename_prefix: prefix,
      codec: modern(list('vp9', 'av1')),
      fps: modern(float(0.01, 1000, 24)),
      crf: modern(float(0, 63, 32)),
    },
    outputs: [],
    saves: true,
    run: async (inputs, context) => {
      const codec =
        inputs['codec'] === 'av1' || inputs['codec'] === 'vp9'
          ? inputs['codec']
          : `no ${inputs['codec']}`
      const target = { prefix: inputs['filename_prefix'], extension: 'webm' }
      const encoding = { codec, quality: number(inputs['crf']), fps: number(inputs['fps']) }
      return saved(context, pictures(inputs['images']), target, encoding)
    },
  },
  SaveAnimatedWEBP: {
    inputs: {
      images: image,
      filename_prefix: prefix,
      fps: float(0.01, 1000, 6),
      lossless: { type: 'BOOLEAN', default: true },
      quality: int(0, 100, 80),
      method: list('default', 'fastest', 'slowest'),
    },
    outputs: [],
    saves: true,
    run: async (inputs, context) => {
      const codec = inputs['lossless'] === true ? 'webp-lossless' : 'webp'
      const target = { prefix: inputs['filename_prefix'], extension: 'webp' }
      const encoding = { codec, quality: number(inputs['quality']), fps: number(inputs['fps']) }
      return saved(context, pictures(inputs['images']), target, encoding)
    },
  },
  SaveImage: {
    inputs: { images: image, filename_prefix: prefix },
    outputs: [],
    saves: true,
    run: async (inputs, context) => {
      const source = pictures(inputs['images'])
      const names = await context.nextFile(
        String(inputs['filename_prefix']),
        'png',
        source.frames.length,
      )
      const files: SavedFile[] = []
      for (const [index, frame] of source.frames.entries()) {
        const name = names[index]
        if (name === undefined) break
        await savePng(frame, source, name.path)
        files.push(name.file)
      }
      return { outputs: [], ui: { images: files } }
    },
  },
  UNETLoader: loader('unet_name', 'MODEL', {
    weight_dtype: list('default', 'fp8_e4m3fn', 'fp8_e4m3fn_fast', 'fp8_e5m2'),
  }),
  CLIPLoader: loader('clip_name', 'CLIP', {
    type: list('stable_diffusion', 'sd3', 'wan'),
    device: optional(list('default', 'cpu')),
  }),
  VAELoader: loader('vae_name', 'VAE'),
  CLIPVisionLoader: loader('clip_name', 'CLIP_VISION'),
  ModelSamplingSD3: {
    inputs: { model: link('MODEL'), shift: float(0, 100, 3) },
    outputs: ['MODEL'],
    run: async (inputs) => give(inputs['model']),
  },
  CLIPTextEncode: {
    inputs: { text, clip: link('CLIP') },
    outputs: ['CONDITIONING'],
    run: async (inputs) => give(String(inputs['text'])),
  },
  CLIPVisionEncode: {
    inputs: { clip_vision: link('CLIP_VISION'), image, crop: list('center', 'none') },
    outputs: ['CLIP_VISION_OUTPUT'],
    run: async () => give('picture'),
  },
  EmptyHunyuanLatentVideo: {
    inputs: clipInputs,
    outputs: ['LATENT'],
    run: async ({ width, height, length, batch_size }) =>
      give(emptyClip(width, height, length, batch_size)),
  },
  WanImageToVideo: {
    inputs: {
      positive: link('CONDITIONING'),
      negative: link('CONDITIONING'),
      vae: link('VAE'),
      ...clipInputs,
      clip_vision_output: optional(link('CLIP_VISION_OUTPUT')),
      start_image: optional(image),
    },
    outputs: ['CONDITIONING', 'CONDITIONING', 'LATENT'],
    run: async ({ positive, negative, width, height, length, batch_size }) =>
      give(positive, negative, emptyClip(width, height, length, batch_size)),
  },
  KSampler: {
    inputs: {
      model: link('MODEL'),
      seed,
      steps: int(1, 10_000, 20),
      cfg: float(0, 100, 8),
      sampler_name: list('euler', 'euler_ancestral', 'dpmpp_2m', 'uni_pc', 'uni_pc_bh2'),
      scheduler: list('simple', 'normal', 'karras', 'beta'),
      positive: link('CONDITIONING'),
      negative: link('CONDITIONING'),
      latent_image: link('LATENT'),
      denoise: float(0, 1, 1),
    },
    outputs: ['LATENT'],
    run: async (inputs, context) => {
      const latent = inputs['latent_image'] as Latent
      const words = ['model', 'positive', 'negative', 'seed'].map((name) => inputs[name])
      const sampled = { ...latent, text: JSON.stringify(words) }
      context.reserve(latent.width / 8, latent.height / 8, latent.frames)
      const steps = number(inputs['steps'])
      for (let step = 1; step <= steps; step += 1) {
        const frame = waves(sampled.text, 64, 36, step / steps)
        await context.progress(step, steps, { width: 64, height: 36, frames: [frame] })
      }
      return give(sampled)
    },
  },
  VAEDecode: {
    inputs: { samples: link('LATENT'), vae: link('VAE') },
    outputs: ['IMAGE'],
    run: (inputs, context) => decode(inputs['samples'] as Latent, context, false),
  },
  VAEDecodeTiled: {
    inputs: {
      samples: link('LATENT'),
      vae: link('VAE'),
      tile_size: int(64, 4096, 512),
      overlap: int(0, 4096, 64),
      temporal_size: int(8, 4096, 64),
      temporal_overlap: int(4, 4096, 8),
    },
    outputs: ['IMAGE'],
    run: (inputs, context) => decode(inputs['samples'] as Latent, context, true),
  },
}
