import { MODEL_NODES } from './model-rules.js'
import { CLIP, CONDITIONED, GUIDED, type NodeRule, PAIR } from './node-rule.js'

const sampling = {
  model: 'MODEL',
  steps: 'steps',
  cfg: 'number',
  sampler_name: 'choice',
  scheduler: 'choice',
  ...PAIR,
  latent_image: 'LATENT',
}
const save = { images: 'IMAGE', filename_prefix: 'prefix' }

/**
 * The classes that every server allows: those of an unmodified ComfyUI (0.3.64) that WAN 2.1, other
 * models of videos and images, and the plain handling of images need. None of them reads a URL, runs
 * code or writes outside its folder.
 */
export const SHIPPED_NODES: Readonly<Record<string, NodeRule>> = {
  ...MODEL_NODES,
  UNETLoader: { inputs: { unet_name: 'model', weight_dtype: 'choice' }, outputs: ['MODEL'] },
  CLIPLoader: {
    inputs: { clip_name: 'model', type: 'choice', device: 'choice?' },
    outputs: ['CLIP'],
  },
  VAELoader: { inputs: { vae_name: 'model' }, outputs: ['VAE'] },
  CLIPVisionLoader: { inputs: { clip_name: 'model' }, outputs: ['CLIP_VISION'] },
  CheckpointLoaderSimple: { inputs: { ckpt_name: 'model' }, outputs: ['MODEL', 'CLIP', 'VAE'] },
  UpscaleModelLoader: { inputs: { model_name: 'model' }, outputs: ['UPSCALE_MODEL'] },
  LoraLoaderModelOnly: {
    inputs: { model: 'MODEL', lora_name: 'model', strength_model: 'number' },
    outputs: ['MODEL'],
  },
  ModelSamplingSD3: { inputs: { model: 'MODEL', shift: 'number' }, outputs: ['MODEL'] },
  CLIPTextEncode: { inputs: { text: 'text', clip: 'CLIP' }, outputs: ['CONDITIONING'] },
  ConditioningZeroOut: { inputs: { conditioning: 'CONDITIONING' }, outputs: ['CONDITIONING'] },
  CLIPVisionEncode: {
    inputs: { clip_vision: 'CLIP_VISION', image: 'IMAGE', crop: 'choice' },
    outputs: ['CLIP_VISION_OUTPUT'],
  },
  EmptyHunyuanLatentVideo: { inputs: CLIP, outputs: ['LATENT'] },
  EmptyLatentImage: {
    inputs: { width: 'width', height: 'height', batch_size: 'batch' },
    outputs: ['LATENT'],
  },
  WanImageToVideo: {
    inputs: { ...GUIDED, clip_vision_output: 'CLIP_VISION_OUTPUT?', start_image: 'IMAGE?' },
    outputs: CONDITIONED,
  },
  WanFirstLastFrameToVideo: {
    inputs: {
      ...GUIDED,
      clip_vision_start_image: 'CLIP_VISION_OUTPUT?',
      clip_vision_end_image: 'CLIP_VISION_OUTPUT?',
      start_image: 'IMAGE?',
      end_image: 'IMAGE?',
    },
    outputs: CONDITIONED,
  },
  KSampler: { inputs: { ...sampling, seed: 'integer', denoise: 'denoise' }, outputs: ['LATENT'] },
  KSamplerAdvanced: {
    inputs: {
      ...sampling,
      add_noise: 'choice',
      noise_seed: 'integer',
      start_at_step: 'integer',
      end_at_step: 'integer',
      return_with_leftover_noise: 'choice',
    },
    outputs: ['LATENT'],
  },
  VAEDecode: { inputs: { samples: 'LATENT', vae: 'VAE' }, outputs: ['IMAGE'] },
  VAEDecodeTiled: {
    inputs: {
      samples: 'LATENT',
      vae: 'VAE',
      tile_size: 'integer',
      overlap: 'integer',
      temporal_size: 'integer?',
      temporal_overlap: 'integer?',
    },
    outputs: ['IMAGE'],
  },
  VAEEncode: { inputs: { pixels: 'IMAGE', vae: 'VAE' }, outputs: ['LATENT'] },
  RepeatLatentBatch: { inputs: { samples: 'LATENT', amount: 'repeat' }, outputs: ['LATENT'] },
  LatentUpscaleBy: {
    inputs: { samples: 'LATENT', upscale_method: 'choice', scale_by: 'scale' },
    outputs: ['LATENT'],
  },
  LoadImage: {
    inputs: { image: 'file', upload: 'choice?' },
    outputs: ['IMAGE', 'MASK'],
    loadsImage: true,
  },
  LoadAudio: { inputs: { audio: 'file' }, outputs: ['AUDIO'] },
  EmptyImage: {
    inputs: { width: 'width', height: 'height', batch_size: 'batch', color: 'integer' },
    outputs: ['IMAGE'],
  },
  ImageScale: {
    inputs: {
      image: 'IMAGE',
      upscale_method: 'choice',
      width: 'width',
      height: 'height',
      crop: 'choice',
    },
    outputs: ['IMAGE'],
  },
  ImageScaleBy: {
    inputs: { image: 'IMAGE', upscale_method: 'choice', scale_by: 'scale' },
    outputs: ['IMAGE'],
  },
  ImageUpscaleWithModel: {
    inputs: { upscale_model: 'UPSCALE_MODEL', image: 'IMAGE' },
    outputs: ['IMAGE'],
    enlarges: 4,
  },
  ImageCrop: {
    inputs: { image: 'IMAGE', width: 'width', height: 'height', x: 'integer', y: 'integer' },
    outputs: ['IMAGE'],
  },
  ImagePadForOutpaint: {
    inputs: {
      image: 'IMAGE',
      left: 'pad-x',
      right: 'pad-x',
      top: 'pad-y',
      bottom: 'pad-y',
      feathering: 'integer',
    },
    outputs: ['IMAGE', 'MASK'],
  },
  ImageInvert: { inputs: { image: 'IMAGE' }, outputs: ['IMAGE'] },
  ImageBlur: {
    inputs: { image: 'IMAGE', blur_radius: 'integer', sigma: 'number' },
    outputs: ['IMAGE'],
  },
  ImageSharpen: {
    inputs: { image: 'IMAGE', sharpen_radius: 'integer', sigma: 'number', alpha: 'number' },
    outputs: ['IMAGE'],
  },
  ImageBlend: {
    inputs: { image1: 'IMAGE', image2: 'IMAGE', blend_factor: 'number', blend_mode: 'choice' },
    outputs: ['IMAGE'],
  },
  ImageAddNoise: {
    inputs: { image: 'IMAGE', seed: 'integer', strength: 'number' },
    outputs: ['IMAGE'],
  },
  ImageBatch: { inputs: { image1: 'IMAGE', image2: 'IMAGE' }, outputs: ['IMAGE'], joins: true },
  RepeatImageBatch: { inputs: { image: 'IMAGE', amount: 'repeat' }, outputs: ['IMAGE'] },
  ImageFromBatch: {
    inputs: { image: 'IMAGE', batch_index: 'integer', length: 'frames' },
    outputs: ['IMAGE'],
  },
  CreateVideo: {
    inputs: { images: 'IMAGE', fps: 'fps', audio: 'AUDIO?' },
    outputs: ['VIDEO'],
  },
  SaveVideo: {
    inputs: { video: 'VIDEO', filename_prefix: 'prefix', format: 'choice', codec: 'choice' },
    outputs: [],
    saves: true,
  },
  SaveWEBM: {
    inputs: { ...save, codec: 'choice', fps: 'fps', crf: 'number' },
    outputs: [],
    saves: true,
  },
  SaveAnimatedWEBP: {
    inputs: { ...save, fps: 'fps', lossless: 'flag', quality: 'integer', method: 'choice' },
    outputs: [],
    saves: true,
  },
  SaveAnimatedPNG: {
    inputs: { ...save, fps: 'fps', compress_level: 'integer' },
    outputs: [],
    saves: true,
  },
  SaveImage: { inputs: save, outputs: [], saves: true },
}
