/** A workflow that tests may bend into any shape. */
export type Draft = Record<string, { class_type: string; inputs: Record<string, unknown> }>

export const MODELS = [
  'wan2.1_t2v_1.3B_bf16.safetensors',
  'wan2.1_i2v_480p_14B_fp8.safetensors',
  'umt5_xxl_fp8_e4m3fn_scaled.safetensors',
  'wan_2.1_vae.safetensors',
  'clip_vision_h.safetensors',
  'loras/wan_motion.safetensors',
  'RealESRGAN_x4plus.safetensors',
  'sd_xl_base_1.0.safetensors',
]

const node = (class_type: string, inputs: Record<string, unknown>) => ({ class_type, inputs })

const loaders = (unet: string): Draft => ({
  '37': node('UNETLoader', { unet_name: unet, weight_dtype: 'default' }),
  '38': node('CLIPLoader', { clip_name: MODELS[2], type: 'wan', device: 'default' }),
  '39': node('VAELoader', { vae_name: MODELS[3] }),
  '6': node('CLIPTextEncode', { text: 'a fox running in the snow', clip: ['38', 0] }),
  '7': node('CLIPTextEncode', { text: 'static, blurry', clip: ['38', 0] }),
  '48': node('ModelSamplingSD3', { model: ['37', 0], shift: 8 }),
})

const tail = (): Draft => ({
  '8': node('VAEDecode', { samples: ['3', 0], vae: ['39', 0] }),
  '49': node('CreateVideo', { images: ['8', 0], fps: 16 }),
  '50': node('SaveVideo', {
    video: ['49', 0],
    filename_prefix: 'video/wan',
    format: 'mp4',
    codec: 'h264',
  }),
})

const sampler = (positive: unknown, negative: unknown, latent: unknown) =>
  node('KSampler', {
    model: ['48', 0],
    seed: 82628696717253,
    steps: 30,
    cfg: 6,
    sampler_name: 'uni_pc',
    scheduler: 'simple',
    positive,
    negative,
    latent_image: latent,
    denoise: 1,
  })

/** WAN 2.1 text to video. */
export const textToVideo = (width = 832, height = 480, length = 33): Draft => ({
  ...loaders('wan2.1_t2v_1.3B_bf16.safetensors'),
  '40': node('EmptyHunyuanLatentVideo', { width, height, length, batch_size: 1 }),
  '3': sampler(['6', 0], ['7', 0], ['40', 0]),
  ...tail(),
})

/** WAN 2.1 image to video. */
export const imageToVideo = (width = 512, height = 512, length = 33): Draft => ({
  ...loaders('wan2.1_i2v_480p_14B_fp8.safetensors'),
  '49v': node('CLIPVisionLoader', { clip_name: 'clip_vision_h.safetensors' }),
  '52': node('LoadImage', { image: 'start.png' }),
  '51': node('CLIPVisionEncode', { clip_vision: ['49v', 0], image: ['52', 0], crop: 'none' }),
  '53': node('WanImageToVideo', {
    positive: ['6', 0],
    negative: ['7', 0],
    vae: ['39', 0],
    clip_vision_output: ['51', 0],
    start_image: ['52', 0],
    width,
    height,
    length,
    batch_size: 1,
  }),
  '3': sampler(['53', 0], ['53', 1], ['53', 2]),
  ...tail(),
})

/** Built-in nodes alone: an image becomes a short clip. */
export const noModel = (): Draft => ({
  '1': node('LoadImage', { image: 'in.png' }),
  '2': node('EmptyImage', { width: 96, height: 64, batch_size: 4, color: 3368601 }),
  '3': node('ImageScale', {
    image: ['1', 0],
    upscale_method: 'bicubic',
    width: 96,
    height: 64,
    crop: 'center',
  }),
  '4': node('RepeatImageBatch', { image: ['3', 0], amount: 8 }),
  '5': node('ImageBatch', { image1: ['4', 0], image2: ['2', 0] }),
  '6': node('ImageAddNoise', { image: ['5', 0], seed: 5, strength: 0.1 }),
  '7': node('CreateVideo', { images: ['6', 0], fps: 12 }),
  '8': node('SaveVideo', {
    video: ['7', 0],
    filename_prefix: 'clips/nomodel',
    format: 'mp4',
    codec: 'h264',
  }),
})

/** `draft` with some inputs of one node replaced. */
export function withInputs(draft: Draft, id: string, inputs: Record<string, unknown>): Draft {
  const old = draft[id]
  if (old === undefined) throw new Error(`no node ${id}`)
  return { ...draft, [id]: { ...old, inputs: { ...old.inputs, ...inputs } } }
}

/** `draft` with a node added or replaced. */
export function withNode(
  draft: Draft,
  id: string,
  class_type: string,
  inputs: Record<string, unknown>,
): Draft {
  return { ...draft, [id]: node(class_type, inputs) }
}

/** `draft` with one input of one node left out. */
export function withoutInput(draft: Draft, id: string, input: string): Draft {
  const inputs = Object.entries(draft[id]?.inputs ?? {}).filter(([name]) => name !== input)
  return { ...draft, [id]: node(draft[id]?.class_type ?? '', Object.fromEntries(inputs)) }
}

/** `draft` with some nodes left out. */
export function withoutNodes(draft: Draft, ...ids: string[]): Draft {
  return Object.fromEntries(Object.entries(draft).filter(([id]) => !ids.includes(id)))
}
