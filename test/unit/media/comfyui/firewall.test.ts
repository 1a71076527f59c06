import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type FirewallOptions,
  missingFrom,
  SHIPPED_NODES,
  type Workflow,
  WorkflowError,
  WorkflowFirewall,
  type WorkflowProblemCode,
} from '#src/media/comfyui/index.js'
import {
  type Draft,
  imageToVideo,
  MODELS,
  noModel,
  textToVideo,
  withInputs,
  withNode,
  withoutInput,
  withoutNodes,
} from './workflows.js'

const firewall = (options: Partial<FirewallOptions> = {}) =>
  new WorkflowFirewall({ models: MODELS, ...options })

const t2v = textToVideo
const prompt = (text: unknown) => withInputs(t2v(), '6', { text })
const image = (name: unknown) => withInputs(noModel(), '1', { image: name })
const prefix = (name: unknown) => withInputs(noModel(), '8', { filename_prefix: name })
const unet = (name: unknown) => withInputs(t2v(), '37', { unet_name: name })
const size = (inputs: Record<string, unknown>) => withInputs(t2v(), '40', inputs)
const scale = (draft: Draft, id: string, from: string, scale_by: unknown) =>
  withNode(draft, id, 'ImageScaleBy', { image: [from, 0], upscale_method: 'area', scale_by })

/** A chain of `count` nodes of one class behind node `from`, then `after` linked to its end. */
function chain(draft: Draft, from: string, after: string, count: number, link: string): Draft {
  let result = draft
  let last = from
  for (let i = 0; i < count; i += 1) {
    result = withNode(result, `c${i}`, 'ImageInvert', { image: [last, 0] })
    last = `c${i}`
  }
  return withInputs(result, after, { [link]: [last, 0] })
}

/** Each ImageBatch joins the one before with itself: 12 · 2^count frames. */
function doubling(count: number): Draft {
  let result = noModel()
  let last = '5'
  for (let i = 0; i < count; i += 1) {
    result = withNode(result, `d${i}`, 'ImageBatch', { image1: [last, 0], image2: [last, 0] })
    last = `d${i}`
  }
  return withInputs(result, '6', { image: [last, 0] })
}

/** `count` samplers of 30 steps each, in a row. */
function samplers(count: number): Draft {
  let result = t2v()
  let last = '3'
  for (let i = 1; i < count; i += 1) {
    const inputs = { ...(result['3']?.inputs ?? {}), latent_image: [last, 0] }
    result = withNode(result, `s${i}`, 'KSampler', inputs)
    last = `s${i}`
  }
  return withInputs(result, '8', { samples: [last, 0] })
}

/** One pixel, reduced ten times and then enlarged five times: servers round up, and make it huge. */
function crumb(from: Draft, start: string, class_type: string, link: string): Draft {
  let result = from
  let last = start
  for (let i = 0; i < 15; i += 1) {
    const inputs = { upscale_method: 'area', scale_by: i < 10 ? 0.51 : 8 }
    result = withNode(result, `k${i}`, class_type, { ...inputs, [link]: [last, 0] })
    last = `k${i}`
  }
  return result
}
const pixel = (draft: Draft) =>
  withNode(draft, 'px', 'EmptyImage', { width: 1, height: 1, batch_size: 1, color: 0 })

/** `count` copies of a node, each under its own id. */
function copies(draft: Draft, id: string, count: number): Draft {
  const extra = Array.from({ length: count }, (_, i) => [`${id}x${i}`, draft[id]] as const)
  return { ...draft, ...Object.fromEntries(extra) } as Draft
}

/** Forty nodes over one long clip: each is within its limits, all of them are 160 GB. */
const hoard = chain(
  withInputs(withInputs(noModel(), '3', { width: 1920, height: 1080 }), '4', { amount: 150 }),
  '5',
  '6',
  40,
  'image',
)
const titled = (title: string) =>
  ({ ...t2v(), '8': Object.assign({ _meta: { title } }, t2v()['8']) }) as Draft

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i += 1) value = [value]
  return value
}

const circle = withInputs(withNode(noModel(), '9', 'ImageInvert', { image: ['6', 0] }), '6', {
  image: ['9', 0],
})
const itself: Record<string, unknown> = {}
itself['1'] = itself

type Hostile = readonly [name: string, code: WorkflowProblemCode, workflow: unknown]

const hostile: readonly Hostile[] = [
  ['null', 'WORKFLOW_NOT_A_GRAPH', null],
  ['a text', 'WORKFLOW_NOT_A_GRAPH', '{}'],
  ['a list', 'WORKFLOW_NOT_A_GRAPH', [t2v()]],
  ['an empty object', 'WORKFLOW_NOT_A_GRAPH', {}],
  ['the editor format', 'WORKFLOW_NOT_A_GRAPH', { nodes: [], links: [], version: 0.4 }],
  ['10 000 levels of lists', 'WORKFLOW_NESTED_TOO_DEEP', prompt(nested(10_000))],
  ['an object that holds itself', 'WORKFLOW_NESTED_TOO_DEEP', itself],
  ['too many bytes', 'WORKFLOW_BYTES_EXCEEDED', prompt('a'.repeat(300_000))],
  [
    'too many nodes',
    'WORKFLOW_NODES_EXCEEDED',
    Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`${i}`, noModel()['2']])),
  ],
  ['a chain of 60 nodes', 'WORKFLOW_CHAIN_EXCEEDED', chain(noModel(), '5', '6', 60, 'image')],
  ['a node id with a path', 'WORKFLOW_NODE_ID_BAD', { ...noModel(), '../9': noModel()['2'] }],
  [
    'a node id __proto__',
    'WORKFLOW_NODE_ID_BAD',
    JSON.parse(`{"__proto__": ${JSON.stringify(noModel()['2'])}}`),
  ],
  ['an endless node id', 'WORKFLOW_NODE_ID_BAD', { ['9'.repeat(65)]: noModel()['2'] }],
  ['a node that is a number', 'WORKFLOW_NODE_BAD', { ...noModel(), '9': 7 }],
  ['a node without a class', 'WORKFLOW_NODE_BAD', { ...noModel(), '9': { inputs: {} } }],
  ['a node without inputs', 'WORKFLOW_NODE_BAD', { '9': { class_type: 'EmptyImage' } }],
  ['inputs as a list', 'WORKFLOW_NODE_BAD', { '9': { class_type: 'EmptyImage', inputs: [] } }],
  [
    'a node with a further field',
    'WORKFLOW_NODE_BAD',
    { '9': { ...noModel()['2'], is_changed: true } },
  ],
  [
    'a title that is an object',
    'WORKFLOW_NODE_BAD',
    { '9': { ...noModel()['2'], _meta: { title: {} } } },
  ],
  ['a node that runs code', 'WORKFLOW_NODE_REFUSED', withNode(noModel(), '9', 'EvalPython', {})],
  [
    'a node that downloads',
    'WORKFLOW_NODE_REFUSED',
    withNode(noModel(), '9', 'LoadImageFromUrl', { url: 'http://127.0.0.1' }),
  ],
  ['a paid API node', 'WORKFLOW_NODE_REFUSED', withNode(noModel(), '9', 'OpenAIVideoSora2', {})],
  [
    'a node that reads outputs of others',
    'WORKFLOW_NODE_REFUSED',
    withNode(noModel(), '9', 'LoadImageOutput', { image: 'x.png' }),
  ],
  [
    'a node that writes models',
    'WORKFLOW_NODE_REFUSED',
    withNode(noModel(), '9', 'CheckpointSave', {}),
  ],
  ['a class named toString', 'WORKFLOW_NODE_REFUSED', withNode(noModel(), '9', 'toString', {})],
  ['a class in small letters', 'WORKFLOW_NODE_REFUSED', withNode(noModel(), '9', 'saveimage', {})],
  ['a class with a space', 'WORKFLOW_NODE_REFUSED', withNode(noModel(), '9', 'SaveImage ', {})],
  ['an unknown input', 'WORKFLOW_INPUT_UNKNOWN', withInputs(t2v(), '3', { callback: 'x' })],
  ['an input named toString', 'WORKFLOW_INPUT_UNKNOWN', withInputs(t2v(), '3', { toString: 1 })],
  ['no seed', 'WORKFLOW_INPUT_MISSING', withoutInput(t2v(), '3', 'seed')],
  ['no images to save', 'WORKFLOW_INPUT_MISSING', withoutInput(t2v(), '49', 'images')],
  ['a width of text', 'WORKFLOW_VALUE_BAD', size({ width: '832' })],
  ['a width of 0', 'WORKFLOW_VALUE_BAD', size({ width: 0 })],
  ['a negative length', 'WORKFLOW_VALUE_BAD', size({ length: -33 })],
  ['half a frame', 'WORKFLOW_VALUE_BAD', size({ length: 0.5 })],
  ['an endless number', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { cfg: 1e308 })],
  ['not a number', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { cfg: Number.NaN })],
  ['a flag as a choice', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { scheduler: true })],
  ['a choice with markup', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { scheduler: '<b>' })],
  ['a negative scale', 'WORKFLOW_VALUE_BAD', scale(noModel(), '9', '5', -1)],
  ['a prompt of null', 'WORKFLOW_VALUE_BAD', prompt(null)],
  ['a wrapped list', 'WORKFLOW_VALUE_BAD', prompt({ __value__: ['a', 0] })],
  ['a link of one part', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '8', { samples: ['3'] })],
  ['a text as a model link', 'WORKFLOW_LINK_NEEDED', withInputs(t2v(), '48', { model: '37' })],
  ['an object as a link', 'WORKFLOW_LINK_NEEDED', withInputs(t2v(), '48', { model: {} })],
  ['a width by link', 'WORKFLOW_LINK_REFUSED', size({ width: ['48', 0] })],
  ['a file name by link', 'WORKFLOW_LINK_REFUSED', image(['2', 0])],
  ['a model name by link', 'WORKFLOW_LINK_REFUSED', unet(['38', 0])],
  [
    'a link to no node',
    'WORKFLOW_LINK_NODE_MISSING',
    withInputs(t2v(), '8', { samples: ['99', 0] }),
  ],
  [
    'a link to a property of objects',
    'WORKFLOW_LINK_NODE_MISSING',
    withInputs(t2v(), '8', { samples: ['constructor', 0] }),
  ],
  [
    'a link to output 5',
    'WORKFLOW_LINK_OUTPUT_MISSING',
    withInputs(t2v(), '8', { samples: ['3', 5] }),
  ],
  [
    'a link to output -1',
    'WORKFLOW_LINK_OUTPUT_MISSING',
    withInputs(t2v(), '8', { samples: ['3', -1] }),
  ],
  [
    'a link to half an output',
    'WORKFLOW_LINK_OUTPUT_MISSING',
    withInputs(t2v(), '8', { samples: ['3', 0.5] }),
  ],
  [
    'a model where a latent belongs',
    'WORKFLOW_LINK_TYPE_WRONG',
    withInputs(t2v(), '8', { samples: ['37', 0] }),
  ],
  ['a circle of two', 'WORKFLOW_CYCLE', circle],
  ['a node linked to itself', 'WORKFLOW_CYCLE', withInputs(noModel(), '6', { image: ['6', 0] })],
  ['nothing saved', 'WORKFLOW_NO_OUTPUT', withoutNodes(t2v(), '50')],
  ['an endless prompt', 'WORKFLOW_STRING_TOO_LONG', prompt('a'.repeat(5001))],
  ['an endless file name', 'WORKFLOW_STRING_TOO_LONG', image('a'.repeat(256))],
  ['a prompt with NUL', 'WORKFLOW_STRING_BAD', prompt('a\0b')],
  ['a file name with NUL', 'WORKFLOW_STRING_BAD', image('in.png\0.txt')],
  ['half a surrogate pair', 'WORKFLOW_STRING_BAD', prompt('\ud800')],
  ['a terminal escape', 'WORKFLOW_STRING_BAD', prefix('\u001b[2J')],
  ['an input one folder up', 'WORKFLOW_PATH_REFUSED', image('../secret.png')],
  ['an input up in the middle', 'WORKFLOW_PATH_REFUSED', image('a/../../secret.png')],
  ['an absolute input', 'WORKFLOW_PATH_REFUSED', image('/etc/passwd')],
  ['an input in the home folder', 'WORKFLOW_PATH_REFUSED', image('~/.ssh/id_ed25519')],
  ['an input on a Windows drive', 'WORKFLOW_PATH_REFUSED', image('C:/Windows/win.ini')],
  ['an input up with backslashes', 'WORKFLOW_PATH_REFUSED', image('..\\..\\secret.png')],
  ['an input on a Windows share', 'WORKFLOW_PATH_REFUSED', image('\\\\host\\share\\x.png')],
  ['an input up in percent code', 'WORKFLOW_PATH_REFUSED', image('%2e%2e/secret.png')],
  ['an input with an empty part', 'WORKFLOW_PATH_REFUSED', image('a//b.png')],
  ['a hidden input', 'WORKFLOW_PATH_REFUSED', image('.env')],
  ['an empty input', 'WORKFLOW_PATH_REFUSED', image('')],
  ['an input with a newline', 'WORKFLOW_PATH_REFUSED', image('a\n.png')],
  ['an output one folder up', 'WORKFLOW_PATH_REFUSED', prefix('../../custom_nodes/x')],
  ['an absolute output', 'WORKFLOW_PATH_REFUSED', prefix('/var/www/x')],
  ['an output with a pattern of node values', 'WORKFLOW_PATH_REFUSED', prefix('%date:yyyy%')],
  ['an output that names the shell', 'WORKFLOW_PATH_REFUSED', prefix('x$(id)')],
  ['a model one folder up', 'WORKFLOW_PATH_REFUSED', unet('../vae/x.safetensors')],
  ['an output of another', 'WORKFLOW_PATH_ANNOTATED', image('theirs.png [output]')],
  ['a preview of another', 'WORKFLOW_PATH_ANNOTATED', image('theirs.png [temp]')],
  ['an input that is a URL', 'WORKFLOW_URL_REFUSED', image('http://169.254.169.254/latest')],
  ['an input that is a data URL', 'WORKFLOW_URL_REFUSED', image('data:image/png;base64,AAAA')],
  ['an input that is a file URL', 'WORKFLOW_URL_REFUSED', image('file:///etc/passwd')],
  ['a prompt with a URL', 'WORKFLOW_URL_REFUSED', prompt('see https://example.com/a.png')],
  ['a model that is a URL', 'WORKFLOW_URL_REFUSED', unet('https://example.com/a.safetensors')],
  ['an embedding', 'WORKFLOW_EMBEDDING_REFUSED', prompt('a fox, embedding:evil')],
  ['an embedding up', 'WORKFLOW_EMBEDDING_REFUSED', prompt('(embedding:../../x.pt:1.2)')],
  ['an unlisted model', 'WORKFLOW_MODEL_REFUSED', unet('other.safetensors')],
  ['a listed model in capitals', 'WORKFLOW_MODEL_REFUSED', unet(MODELS[0]?.toUpperCase())],
  ['an unlisted pickle', 'WORKFLOW_MODEL_REFUSED', unet('wan2.1_t2v_1.3B_bf16.ckpt')],
  ['a width of 2049', 'WORKFLOW_WIDTH_EXCEEDED', size({ width: 2049 })],
  [
    'scales that multiply',
    'WORKFLOW_WIDTH_EXCEEDED',
    scale(scale(noModel(), 'a', '5', 9), 'b', 'a', 9),
  ],
  ['a loaded image enlarged', 'WORKFLOW_WIDTH_EXCEEDED', scale(noModel(), 'a', '1', 1.01)],
  ['a height of 1e9', 'WORKFLOW_HEIGHT_EXCEEDED', size({ height: 1e9 })],
  ['a length of 10 000', 'WORKFLOW_FRAMES_EXCEEDED', size({ length: 10_000 })],
  ['a batch of clips', 'WORKFLOW_FRAMES_EXCEEDED', size({ length: 81, batch_size: 4 })],
  ['an image repeated', 'WORKFLOW_FRAMES_EXCEEDED', withInputs(noModel(), '4', { amount: 4096 })],
  ['joins that double', 'WORKFLOW_FRAMES_EXCEEDED', doubling(30)],
  ['large and long', 'WORKFLOW_PIXELS_EXCEEDED', t2v(2048, 2048, 161)],
  ['10 000 steps', 'WORKFLOW_STEPS_EXCEEDED', withInputs(t2v(), '3', { steps: 10_000 })],
  ['samplers that add up', 'WORKFLOW_STEPS_EXCEEDED', samplers(4)],
  ['a batch of 4096', 'WORKFLOW_BATCH_EXCEEDED', size({ batch_size: 4096 })],
  [
    'an image crumb',
    'WORKFLOW_WIDTH_EXCEEDED',
    crumb(pixel(noModel()), 'px', 'ImageScaleBy', 'image'),
  ],
  [
    'a latent crumb',
    'WORKFLOW_WIDTH_EXCEEDED',
    crumb(t2v(16, 16, 1), '40', 'LatentUpscaleBy', 'samples'),
  ],
  ['a schedule of 10^10 steps', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { denoise: 1e-9 })],
  ['a denoise below 0', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { denoise: -0.5 })],
  ['a frame a day', 'WORKFLOW_VALUE_BAD', withInputs(noModel(), '7', { fps: 1 / 86_400 })],
  ['a million frames a second', 'WORKFLOW_VALUE_BAD', withInputs(noModel(), '7', { fps: 1e6 })],
  ['clips that fill the memory', 'WORKFLOW_MEMORY_EXCEEDED', hoard],
  ['a model loaded 20 times', 'WORKFLOW_MODELS_EXCEEDED', copies(t2v(), '37', 20)],
  ['results that fill the disk', 'WORKFLOW_OUTPUTS_EXCEEDED', copies(noModel(), '8', 30)],
  ['a title that clears the screen', 'WORKFLOW_STRING_BAD', titled('\u001b[2J')],
  ['a title of half a pair', 'WORKFLOW_STRING_BAD', titled('\ud800')],
  ['an input up with full-width dots', 'WORKFLOW_PATH_REFUSED', image('．．/secret.png')],
  ['an input up with a full-width slash', 'WORKFLOW_PATH_REFUSED', image('a／..／secret.png')],
  ['an input up with two-dot leaders', 'WORKFLOW_PATH_REFUSED', image('‥/secret.png')],
  ['an input spelt backwards', 'WORKFLOW_PATH_REFUSED', image('cod.\u202egnp.exe')],
  ['an input with a hidden space', 'WORKFLOW_PATH_REFUSED', image('a\u200b.png')],
  ['an input over two lines', 'WORKFLOW_PATH_REFUSED', image('a\u2028b.png')],
  ['a Windows device', 'WORKFLOW_PATH_REFUSED', image('NUL')],
  ['a Windows device with an extension', 'WORKFLOW_PATH_REFUSED', image('jobs/com1.png')],
  ['an output into a device', 'WORKFLOW_PATH_REFUSED', prefix('aux/x')],
  ['an input on a Windows drive, relative', 'WORKFLOW_PATH_REFUSED', image('C:secret.png')],
  ['an output in a folder up, Windows', 'WORKFLOW_PATH_REFUSED', prefix('..\\..\\custom_nodes\\x')],
  ['an annotation in capitals', 'WORKFLOW_PATH_ANNOTATED', image('theirs.png [OUTPUT]')],
  ['an annotation without a space', 'WORKFLOW_PATH_ANNOTATED', image('theirs.png[input]')],
  ['frames by link', 'WORKFLOW_LINK_REFUSED', size({ length: ['6', 0] })],
  ['steps by link', 'WORKFLOW_LINK_REFUSED', withInputs(t2v(), '3', { steps: ['48', 0] })],
  [
    'a link whose output is true',
    'WORKFLOW_VALUE_BAD',
    withInputs(t2v(), '8', { samples: ['3', true] }),
  ],
  ['a link by number', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '8', { samples: [3, 0] })],
  ['a link of three parts', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '8', { samples: ['3', 0, 0] })],
  ['steps of 1e400', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { steps: JSON.parse('1e400') })],
  [
    'steps as a text in other digits',
    'WORKFLOW_VALUE_BAD',
    withInputs(t2v(), '3', { steps: '٣٠' }),
  ],
  ['a length as a bigint', 'WORKFLOW_VALUE_BAD', size({ length: 10n ** 30n })],
  ['a seed beyond 64 bits', 'WORKFLOW_VALUE_BAD', withInputs(t2v(), '3', { seed: 2n ** 80n })],
  [
    'a primitive that makes numbers',
    'WORKFLOW_NODE_REFUSED',
    withNode(t2v(), '9', 'PrimitiveInt', { value: 9e15 }),
  ],
  [
    'a node of mathematics',
    'WORKFLOW_NODE_REFUSED',
    withNode(t2v(), '9', 'MathExpression|pysssss', { expression: '9**9**9' }),
  ],
  [
    'wildcards that read files',
    'WORKFLOW_NODE_REFUSED',
    withNode(t2v(), '6', 'ImpactWildcardEncode', { wildcard_text: '__../../etc/passwd__' }),
  ],
  [
    'a node that reads a folder',
    'WORKFLOW_NODE_REFUSED',
    withNode(noModel(), '9', 'VHS_LoadVideoPath', { video: '/etc' }),
  ],
]

const vae = { samples: ['3', 0], vae: ['39', 0] }
const saveWebm = { filename_prefix: 'clips/a', codec: 'vp9', fps: 12, crf: 32 }
const lora = withInputs(
  withNode(t2v(), '60', 'LoraLoaderModelOnly', {
    model: ['37', 0],
    lora_name: 'loras/wan_motion.safetensors',
    strength_model: 0.8,
  }),
  '48',
  { model: ['60', 0] },
)
const advanced = withNode(t2v(), '3', 'KSamplerAdvanced', {
  add_noise: 'enable',
  noise_seed: 7,
  steps: 20,
  cfg: 1,
  sampler_name: 'euler',
  scheduler: 'simple',
  start_at_step: 0,
  end_at_step: 10_000,
  return_with_leftover_noise: 'disable',
  model: ['48', 0],
  positive: ['6', 0],
  negative: ['7', 0],
  latent_image: ['40', 0],
})
const saving = (class_type: string, inputs: Record<string, unknown>) =>
  withNode(noModel(), '9', class_type, { images: ['6', 0], ...inputs })
const effect = (class_type: string, inputs: Record<string, unknown>) =>
  withInputs(withNode(noModel(), '9', class_type, inputs), '7', { images: ['9', 0] })

const honest: readonly (readonly [name: string, workflow: Draft])[] = [
  ['text to video, 480p', t2v()],
  ['text to video, 480p upright', t2v(480, 832)],
  ['text to video, 81 frames', t2v(832, 480, 81)],
  ['text to video, 720p', t2v(1280, 720, 81)],
  ['text to video, one frame', t2v(1024, 1024, 1)],
  ['image to video, 480p', imageToVideo()],
  ['image to video, 720p', imageToVideo(1280, 720, 81)],
  [
    'image to video without a vision model',
    withoutInput(imageToVideo(), '53', 'clip_vision_output'),
  ],
  ['image to video without a start', withoutInput(imageToVideo(), '53', 'start_image')],
  [
    'first and last frame to video',
    withNode(imageToVideo(), '53', 'WanFirstLastFrameToVideo', {
      ...withoutInput(imageToVideo(), '53', 'clip_vision_output')['53']?.inputs,
      clip_vision_start_image: ['51', 0],
      end_image: ['52', 0],
    }),
  ],
  ['a LoRA', lora],
  ['the advanced sampler', advanced],
  [
    'a tiled decoder',
    withNode(t2v(), '8', 'VAEDecodeTiled', { ...vae, tile_size: 256, overlap: 64 }),
  ],
  ['a prompt of many lines', prompt('一只狐狸\n\ton snow, 4k, (best quality:1.2) 🦊')],
  ['a prompt with a path in prose', prompt('an or/or sign, "../" painted on it: 50% off')],
  ['an empty prompt', prompt('')],
  ['a large seed', withInputs(t2v(), '3', { seed: 2 ** 63 })],
  ['two samplers', samplers(2)],
  ['no negative prompt', withNode(t2v(), '7', 'ConditioningZeroOut', { conditioning: ['6', 0] })],
  ['titles', { ...t2v(), '8': Object.assign({ _meta: { title: 'VAE' } }, t2v()['8']) } as Draft],
  ['built-in nodes alone', noModel()],
  ['an input in a folder', image('jobs/2f8a/start image_01.png')],
  ['an input as the editor exports it', withInputs(noModel(), '1', { upload: 'image' })],
  ['a WebM as well', saving('SaveWEBM', saveWebm)],
  [
    'an animated WebP as well',
    saving('SaveAnimatedWEBP', {
      filename_prefix: 'a',
      fps: 12,
      lossless: false,
      quality: 80,
      method: 'default',
    }),
  ],
  [
    'an animated PNG as well',
    saving('SaveAnimatedPNG', { filename_prefix: 'a', fps: 6, compress_level: 4 }),
  ],
  ['images as well', saving('SaveImage', { filename_prefix: 'frames/ComfyUI' })],
  ['an enlarged image', scale(noModel(), '9', '6', 2)],
  ['a cropped image', effect('ImageCrop', { image: ['6', 0], width: 32, height: 32, x: 1, y: 0 })],
  [
    'a padded image',
    effect('ImagePadForOutpaint', {
      image: ['6', 0],
      left: 8,
      right: 8,
      top: 0,
      bottom: 0,
      feathering: 4,
    }),
  ],
  ['a blurred image', effect('ImageBlur', { image: ['6', 0], blur_radius: 3, sigma: 1 })],
  ['a part of a batch', effect('ImageFromBatch', { image: ['6', 0], batch_index: 2, length: 4 })],
  [
    'an enlarging model',
    withNode(
      effect('ImageUpscaleWithModel', { upscale_model: ['10', 0], image: ['6', 0] }),
      '10',
      'UpscaleModelLoader',
      { model_name: 'RealESRGAN_x4plus.safetensors' },
    ),
  ],
  [
    'a video with sound',
    withInputs(withNode(noModel(), '9', 'LoadAudio', { audio: 'song.mp3' }), '7', {
      audio: ['9', 0],
    }),
  ],
]

/** The sampler taken apart, as newer templates have it; `samplers` of them share one schedule. */
function custom(steps: number, samplers = 1): Draft {
  let result = withoutNodes(t2v(), '3')
  result = withNode(result, 'k', 'KSamplerSelect', { sampler_name: 'euler' })
  result = withNode(result, 'n', 'RandomNoise', { noise_seed: 7 })
  const guider = { model: ['48', 0], positive: ['6', 0], negative: ['7', 0], cfg: 5 }
  result = withNode(result, 'g', 'CFGGuider', guider)
  const schedule = { model: ['48', 0], scheduler: 'simple', steps, denoise: 1 }
  result = withNode(result, 's', 'BasicScheduler', schedule)
  const parts = { noise: ['n', 0], guider: ['g', 0], sampler: ['k', 0], sigmas: ['s', 0] }
  let last = '40'
  for (let i = 0; i < samplers; i += 1) {
    result = withNode(result, `c${i}`, 'SamplerCustomAdvanced', {
      ...parts,
      latent_image: [last, 0],
    })
    last = `c${i}`
  }
  return withInputs(result, '8', { samples: [last, 0] })
}
const control = { positive: ['6', 0], negative: ['7', 0], vae: ['39', 0] }
const vace = withInputs(
  withNode(
    withNode(t2v(), 'v', 'WanVaceToVideo', {
      ...{ ...control, width: 832, height: 480, length: 81, batch_size: 1, strength: 1 },
      reference_image: ['i', 0],
    }),
    'i',
    'LoadImage',
    { image: 'who.png' },
  ),
  '3',
  { positive: ['v', 0], negative: ['v', 1], latent_image: ['v', 2] },
)

/** From the public templates of other models than WAN 2.1's text and image to video. */
const others: readonly (readonly [name: string, workflow: Draft])[] = [
  ['a sampler taken apart', custom(30)],
  ['three samplers on one schedule', custom(30, 3)],
  ['WAN 2.1 VACE', vace],
  [
    'WAN 2.1 VACE, trimmed',
    withInputs(
      withNode(vace, 't', 'TrimVideoLatent', { samples: ['3', 0], trim_amount: ['v', 3] }),
      '8',
      { samples: ['t', 0] },
    ),
  ],
  [
    'WAN 2.2 image to video, 5B',
    withNode(
      withNode(t2v(), 'i', 'LoadImage', { image: 'who.png' }),
      '40',
      'Wan22ImageToVideoLatent',
      {
        ...{ vae: ['39', 0], width: 1280, height: 704, length: 121, batch_size: 1 },
        start_image: ['i', 0],
      },
    ),
  ],
  [
    'LTX-Video',
    withNode(custom(30), '40', 'EmptyLTXVLatentVideo', {
      width: 768,
      height: 512,
      length: 97,
      batch_size: 1,
    }),
  ],
  [
    'Flux',
    withInputs(
      withNode(
        withNode(custom(20), '38', 'DualCLIPLoader', {
          ...{ clip_name1: MODELS[2], clip_name2: MODELS[2], type: 'flux', device: 'default' },
        }),
        'f',
        'FluxGuidance',
        { conditioning: ['6', 0], guidance: 3.5 },
      ),
      'g',
      { positive: ['f', 0] },
    ),
  ],
  ['a preview beside the result', saving('PreviewImage', {})],
  [
    'a large image made bearable',
    effect('ImageScaleToTotalPixels', {
      image: ['1', 0],
      upscale_method: 'lanczos',
      megapixels: 1,
    }),
  ],
]

describe('workflow firewall', () => {
  it('passes workflows of other models', () => {
    for (const [name, workflow] of others) {
      assert.deepEqual(firewall().problems(workflow), [], name)
    }
  })

  it('counts the steps of a schedule as often as it is used', () => {
    const codes = (draft: Draft) =>
      firewall()
        .problems(draft)
        .map((problem) => problem.code)
    assert.deepEqual(codes(custom(101)), ['WORKFLOW_STEPS_EXCEEDED'])
    assert.deepEqual(codes(custom(30, 4)), ['WORKFLOW_STEPS_EXCEEDED'])
    const unused = withNode(t2v(), 's', 'LTXVScheduler', {
      ...{ steps: 90, max_shift: 2.05, base_shift: 0.95, stretch: true, terminal: 0.1 },
    })
    assert.deepEqual(codes(unused), [])
  })

  it('refuses every hostile workflow, for its own reason', () => {
    assert.ok(hostile.length >= 60)
    for (const [name, code, workflow] of hostile) {
      const codes = firewall()
        .problems(workflow)
        .map((problem) => problem.code)
      assert.ok(codes.includes(code), `${name}: wanted ${code}, found ${codes.join(' ') || 'none'}`)
    }
  })

  it('passes every honest workflow unchanged', () => {
    assert.ok(honest.length >= 30)
    for (const [name, workflow] of honest) {
      assert.deepEqual(firewall().problems(workflow), [], name)
      assert.deepEqual(firewall().check(workflow), workflow, name)
    }
  })

  it('passes nothing on that could become a prototype', () => {
    const node = '{"class_type":"ImageInvert","inputs":{"image":["5",0],"__proto__":{"x":1}}}'
    const checked = firewall().check({ ...noModel(), '9': JSON.parse(node) })
    assert.deepEqual(Object.getOwnPropertyNames(checked['9']?.inputs), ['image'])
    assert.equal(Object.getPrototypeOf(checked['9']?.inputs), Object.prototype)
  })

  it('names every problem with its node and input', () => {
    const workflow = withInputs(withInputs(t2v(), '40', { width: 'x' }), '50', {
      filename_prefix: '../x',
    })
    assert.throws(
      () => firewall().check(workflow),
      (error) => {
        assert.ok(error instanceof WorkflowError)
        assert.equal(error.code, 'WORKFLOW_REFUSED')
        const found = error.data.problems.map(({ code, nodeId, input }) => [code, nodeId, input])
        assert.deepEqual(found.sort(), [
          ['WORKFLOW_PATH_REFUSED', '50', 'filename_prefix'],
          ['WORKFLOW_VALUE_BAD', '40', 'width'],
        ])
        return true
      },
    )
  })

  it('takes safe formats alone where any model is allowed', () => {
    const any = firewall({ models: 'any' })
    assert.deepEqual(any.problems(unet('sub/other.gguf')), [])
    for (const name of ['x.ckpt', 'x.pt', 'x.safetensors.pth', 'x']) {
      const codes = any.problems(unet(name)).map((problem) => problem.code)
      assert.deepEqual(codes, ['WORKFLOW_MODEL_FORMAT'], name)
    }
  })

  it('holds URLs to the rules where the operator allows them', () => {
    const open = firewall({ urls: { http: false, privateAddresses: false } })
    assert.deepEqual(open.problems(prompt('like https://example.com/fox.png')), [])
    for (const url of ['http://example.com/x', 'https://127.0.0.1/x', 'https://u:p@example.com/']) {
      const codes = open.problems(prompt(`like ${url}`)).map((problem) => problem.code)
      assert.deepEqual(codes, ['WORKFLOW_URL_REFUSED'], url)
    }
    const codes = open.problems(image('https://example.com/x.png')).map((problem) => problem.code)
    assert.deepEqual(codes, ['WORKFLOW_URL_REFUSED'], 'a URL is no file name')
  })

  it("knows the operator's classes by their rules", () => {
    const rule = { inputs: { image: 'IMAGE', strength: 'number' }, outputs: ['IMAGE'] }
    const workflow = effect('FilmGrain', { image: ['6', 0], strength: 0.5 })
    assert.deepEqual(firewall({ nodes: { FilmGrain: rule } }).problems(workflow), [])
    const wrong = { ...rule, inputs: { image: 'IMAGE', strength: 'nmber' } }
    assert.equal(firewall({ nodes: { FilmGrain: wrong } }).problems(workflow).length, 1)
  })

  it('takes limits from the operator', () => {
    const codes = firewall({ limits: { steps: 29, width: 831 } })
      .problems(t2v())
      .map((problem) => problem.code)
    assert.deepEqual(codes.sort(), ['WORKFLOW_STEPS_EXCEEDED', 'WORKFLOW_WIDTH_EXCEEDED'])
  })

  it('ships rules whose links can be met', () => {
    const given = new Set(Object.values(SHIPPED_NODES).flatMap((rule) => rule.outputs))
    for (const [name, rule] of Object.entries(SHIPPED_NODES)) {
      for (const kind of Object.values(rule.inputs)) {
        const type = kind.replace('?', '')
        if (type === type.toUpperCase()) assert.ok(given.has(type), `${name} needs ${type}`)
      }
    }
  })
})

describe('missingFrom', () => {
  const workflow: Workflow = t2v()
  const info = (unets: string[], vaes: string[]) => ({
    ...Object.fromEntries(Object.values(t2v()).map((node) => [node.class_type, { input: {} }])),
    UNETLoader: { input: { required: { unet_name: [unets, {}], weight_dtype: [['default']] } } },
    VAELoader: { input: { required: { vae_name: ['COMBO', { options: vaes }] } } },
  })

  it('finds nothing missing on a server that has it all', () => {
    const found = missingFrom(info([MODELS[0] ?? ''], [MODELS[3] ?? '']), workflow)
    assert.deepEqual(found, { nodes: [], models: [] })
  })

  it('names every missing class and model', () => {
    const { CreateVideo: _, ...less } = { CreateVideo: {}, ...info([], ['other.safetensors']) }
    assert.deepEqual(missingFrom(less, workflow), {
      nodes: [{ nodeId: '49', classType: 'CreateVideo' }],
      models: [
        { nodeId: '37', classType: 'UNETLoader', input: 'unet_name', name: MODELS[0] },
        { nodeId: '39', classType: 'VAELoader', input: 'vae_name', name: MODELS[3] },
      ],
    })
  })

  it('calls a class missing that only every object has', () => {
    const found = missingFrom({}, { '1': { class_type: 'constructor', inputs: {} } })
    assert.equal(found.nodes.length, 1)
  })
})
