import { CLIP, CONDITIONED, GUIDED, type NodeRule, PAIR } from './node-rule.js'

const clipNames = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`clip_name${i + 1}`, 'model']))

/** What models other than WAN 2.1 text and image to video need, and samplers taken apart. */
export const MODEL_NODES: Readonly<Record<string, NodeRule>> = {
  // Loaders
  DualCLIPLoader: {
    inputs: { ...clipNames(2), type: 'choice', device: 'choice?' },
    outputs: ['CLIP'],
  },
  TripleCLIPLoader: { inputs: clipNames(3), outputs: ['CLIP'] },
  QuadrupleCLIPLoader: { inputs: clipNames(4), outputs: ['CLIP'] },
  ImageOnlyCheckpointLoader: {
    inputs: { ckpt_name: 'model' },
    outputs: ['MODEL', 'CLIP_VISION', 'VAE'],
  },
  LoraLoader: {
    inputs: {
      model: 'MODEL',
      clip: 'CLIP',
      lora_name: 'model',
      strength_model: 'number',
      strength_clip: 'number',
    },
    outputs: ['MODEL', 'CLIP'],
  },
  ControlNetLoader: { inputs: { control_net_name: 'model' }, outputs: ['CONTROL_NET'] },
  // Changes of a model
  CLIPSetLastLayer: { inputs: { clip: 'CLIP', stop_at_clip_layer: 'integer' }, outputs: ['CLIP'] },
  ModelSamplingAuraFlow: { inputs: { model: 'MODEL', shift: 'number' }, outputs: ['MODEL'] },
  ModelSamplingFlux: {
    inputs: {
      model: 'MODEL',
      max_shift: 'number',
      base_shift: 'number',
      width: 'width',
      height: 'height',
    },
    outputs: ['MODEL'],
  },
  ModelSamplingDiscrete: {
    inputs: { model: 'MODEL', sampling: 'choice', zsnr: 'flag' },
    outputs: ['MODEL'],
  },
  CFGNorm: { inputs: { model: 'MODEL', strength: 'number' }, outputs: ['MODEL'] },
  CFGZeroStar: { inputs: { model: 'MODEL' }, outputs: ['MODEL'] },
  RescaleCFG: { inputs: { model: 'MODEL', multiplier: 'number' }, outputs: ['MODEL'] },
  VideoLinearCFGGuidance: { inputs: { model: 'MODEL', min_cfg: 'number' }, outputs: ['MODEL'] },
  SkipLayerGuidanceDiT: {
    inputs: {
      model: 'MODEL',
      double_layers: 'text',
      single_layers: 'text',
      scale: 'number',
      start_percent: 'number',
      end_percent: 'number',
      rescaling_scale: 'number',
    },
    outputs: ['MODEL'],
  },
  UNetTemporalAttentionMultiply: {
    inputs: {
      model: 'MODEL',
      self_structural: 'number',
      self_temporal: 'number',
      cross_structural: 'number',
      cross_temporal: 'number',
    },
    outputs: ['MODEL'],
  },
  // Prompts and what goes with them
  CLIPTextEncodeFlux: {
    inputs: { clip: 'CLIP', clip_l: 'text', t5xxl: 'text', guidance: 'number' },
    outputs: ['CONDITIONING'],
  },
  CLIPTextEncodeSDXL: {
    inputs: {
      clip: 'CLIP',
      width: 'integer',
      height: 'integer',
      crop_w: 'integer',
      crop_h: 'integer',
      target_width: 'integer',
      target_height: 'integer',
      text_g: 'text',
      text_l: 'text',
    },
    outputs: ['CONDITIONING'],
  },
  TextEncodeQwenImageEdit: {
    inputs: { clip: 'CLIP', prompt: 'text', vae: 'VAE?', image: 'IMAGE?' },
    outputs: ['CONDITIONING'],
  },
  FluxGuidance: {
    inputs: { conditioning: 'CONDITIONING', guidance: 'number' },
    outputs: ['CONDITIONING'],
  },
  ReferenceLatent: {
    inputs: { conditioning: 'CONDITIONING', latent: 'LATENT?' },
    outputs: ['CONDITIONING'],
  },
  ConditioningCombine: {
    inputs: { conditioning_1: 'CONDITIONING', conditioning_2: 'CONDITIONING' },
    outputs: ['CONDITIONING'],
  },
  ConditioningConcat: {
    inputs: { conditioning_to: 'CONDITIONING', conditioning_from: 'CONDITIONING' },
    outputs: ['CONDITIONING'],
  },
  ConditioningAverage: {
    inputs: {
      conditioning_to: 'CONDITIONING',
      conditioning_from: 'CONDITIONING',
      conditioning_to_strength: 'number',
    },
    outputs: ['CONDITIONING'],
  },
  ControlNetApplyAdvanced: {
    inputs: {
      ...PAIR,
      control_net: 'CONTROL_NET',
      image: 'IMAGE',
      strength: 'number',
      start_percent: 'number',
      end_percent: 'number',
      vae: 'VAE?',
    },
    outputs: ['CONDITIONING', 'CONDITIONING'],
  },
  LTXVConditioning: {
    inputs: { ...PAIR, frame_rate: 'fps' },
    outputs: ['CONDITIONING', 'CONDITIONING'],
  },
  // Latents
  EmptySD3LatentImage: {
    inputs: { width: 'width', height: 'height', batch_size: 'batch' },
    outputs: ['LATENT'],
  },
  EmptyLTXVLatentVideo: { inputs: CLIP, outputs: ['LATENT'] },
  EmptyMochiLatentVideo: { inputs: CLIP, outputs: ['LATENT'] },
  EmptyCosmosLatentVideo: { inputs: CLIP, outputs: ['LATENT'] },
  Wan22ImageToVideoLatent: {
    inputs: { vae: 'VAE', ...CLIP, start_image: 'IMAGE?' },
    outputs: ['LATENT'],
  },
  WanVaceToVideo: {
    inputs: {
      ...GUIDED,
      strength: 'number',
      control_video: 'IMAGE?',
      control_masks: 'MASK?',
      reference_image: 'IMAGE?',
    },
    outputs: [...CONDITIONED, 'INT'],
  },
  WanFunInpaintToVideo: {
    inputs: {
      ...GUIDED,
      clip_vision_output: 'CLIP_VISION_OUTPUT?',
      start_image: 'IMAGE?',
      end_image: 'IMAGE?',
    },
    outputs: CONDITIONED,
  },
  WanFunControlToVideo: {
    inputs: {
      ...GUIDED,
      clip_vision_output: 'CLIP_VISION_OUTPUT?',
      start_image: 'IMAGE?',
      control_video: 'IMAGE?',
    },
    outputs: CONDITIONED,
  },
  HunyuanImageToVideo: {
    inputs: {
      positive: 'CONDITIONING',
      vae: 'VAE',
      ...CLIP,
      guidance_type: 'choice',
      start_image: 'IMAGE?',
    },
    outputs: ['CONDITIONING', 'LATENT'],
  },
  LTXVImgToVideo: {
    inputs: { ...GUIDED, image: 'IMAGE', strength: 'number' },
    outputs: CONDITIONED,
  },
  SVD_img2vid_Conditioning: {
    inputs: {
      clip_vision: 'CLIP_VISION',
      init_image: 'IMAGE',
      vae: 'VAE',
      width: 'width',
      height: 'height',
      video_frames: 'frames',
      motion_bucket_id: 'integer',
      fps: 'integer',
      augmentation_level: 'number',
    },
    outputs: CONDITIONED,
  },
  // The amount comes from WanVaceToVideo, and only makes fewer frames of it.
  TrimVideoLatent: { inputs: { samples: 'LATENT', trim_amount: 'INT' }, outputs: ['LATENT'] },
  LatentUpscale: {
    inputs: {
      samples: 'LATENT',
      upscale_method: 'choice',
      width: 'width',
      height: 'height',
      crop: 'choice',
    },
    outputs: ['LATENT'],
  },
  SetLatentNoiseMask: { inputs: { samples: 'LATENT', mask: 'MASK' }, outputs: ['LATENT'] },
  // A sampler taken apart
  KSamplerSelect: { inputs: { sampler_name: 'choice' }, outputs: ['SAMPLER'] },
  RandomNoise: { inputs: { noise_seed: 'integer' }, outputs: ['NOISE'] },
  DisableNoise: { inputs: {}, outputs: ['NOISE'] },
  BasicScheduler: {
    inputs: { model: 'MODEL', scheduler: 'choice', steps: 'steps', denoise: 'denoise' },
    outputs: ['SIGMAS'],
  },
  LTXVScheduler: {
    inputs: {
      steps: 'steps',
      max_shift: 'number',
      base_shift: 'number',
      stretch: 'flag',
      terminal: 'number',
      latent: 'LATENT?',
    },
    outputs: ['SIGMAS'],
  },
  SplitSigmas: { inputs: { sigmas: 'SIGMAS', step: 'integer' }, outputs: ['SIGMAS', 'SIGMAS'] },
  BasicGuider: { inputs: { model: 'MODEL', conditioning: 'CONDITIONING' }, outputs: ['GUIDER'] },
  CFGGuider: { inputs: { model: 'MODEL', ...PAIR, cfg: 'number' }, outputs: ['GUIDER'] },
  SamplerCustom: {
    inputs: {
      model: 'MODEL',
      add_noise: 'flag',
      noise_seed: 'integer',
      cfg: 'number',
      ...PAIR,
      sampler: 'SAMPLER',
      sigmas: 'SIGMAS',
      latent_image: 'LATENT',
    },
    outputs: ['LATENT', 'LATENT'],
  },
  SamplerCustomAdvanced: {
    inputs: {
      noise: 'NOISE',
      guider: 'GUIDER',
      sampler: 'SAMPLER',
      sigmas: 'SIGMAS',
      latent_image: 'LATENT',
    },
    outputs: ['LATENT', 'LATENT'],
  },
  // Images and masks
  LTXVPreprocess: { inputs: { image: 'IMAGE', img_compression: 'integer' }, outputs: ['IMAGE'] },
  ImageScaleToTotalPixels: {
    inputs: { image: 'IMAGE', upscale_method: 'choice', megapixels: 'megapixels' },
    outputs: ['IMAGE'],
    loadsImage: true,
  },
  FluxKontextImageScale: { inputs: { image: 'IMAGE' }, outputs: ['IMAGE'], loadsImage: true },
  ImageToMask: { inputs: { image: 'IMAGE', channel: 'choice' }, outputs: ['MASK'] },
  MaskToImage: { inputs: { mask: 'MASK' }, outputs: ['IMAGE'] },
  InvertMask: { inputs: { mask: 'MASK' }, outputs: ['MASK'] },
  SolidMask: { inputs: { value: 'number', width: 'width', height: 'height' }, outputs: ['MASK'] },
  PreviewImage: { inputs: { images: 'IMAGE' }, outputs: [], saves: true },
}
