// Reads a network of the ncnn format (text .param, binary .bin) into ONNX nodes.
// Layout: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and
// .../operation-param-weight-table. Only the layers that our models use; anything else throws.
import { floats } from './onnx.mjs'

const MAGIC = '7767517'
const FLOAT16_TAG = 0x01306b47
const BINARY_OPS = ['Add', 'Sub', 'Mul', 'Div']

/** @returns layers `{ type, name, inputs, outputs, params: Map<number, number> }` in file order */
export function parseNcnn(text) {
  const [magic, , ...lines] = text.split('\n')
  if (magic.trim() !== MAGIC) throw new Error(`not an ncnn .param file: it starts with ${magic}`)
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [type, name, inputCount, outputCount, ...rest] = line.trim().split(/\s+/)
      const inputs = rest.slice(0, Number(inputCount))
      const outputs = rest.slice(inputs.length, inputs.length + Number(outputCount))
      const params = new Map(
        rest
          .slice(inputs.length + outputs.length)
          .map((pair) => pair.split('='))
          .map(([id, value]) => [Number(id), Number(value)]),
      )
      return { type, name, inputs, outputs, params }
    })
}

/** Reads the .bin: weights in the order of the layers that own them. */
class Weights {
  #data
  #at = 0

  constructor(data) {
    this.#data = data
  }

  #take(byteLength) {
    const end = this.#at + byteLength
    if (end > this.#data.length) throw new Error('the .bin file is shorter than the .param says')
    const part = this.#data.subarray(this.#at, end)
    this.#at = end
    return part
  }

  /** Raw float32. */
  plain(count) {
    return { type: 'float', data: this.#take(4 * count) }
  }

  /** A tag, then float16 padded to 4 bytes, or float32. */
  tagged(count) {
    const tag = this.#take(4).readUInt32LE()
    if (tag === 0) return this.plain(count)
    if (tag !== FLOAT16_TAG) throw new Error(`unknown weight encoding ${tag.toString(16)}`)
    const data = this.#take(4 * Math.ceil(count / 2)).subarray(0, 2 * count)
    return { type: 'float16', data }
  }

  expectEnd() {
    const left = this.#data.length - this.#at
    if (left !== 0) throw new Error(`${left} bytes of the .bin file belong to no layer`)
  }
}

/**
 * ONNX nodes and initializers of a network. Float16 weights stay float16 in the file, each with a
 * Cast that the runtime folds when it loads: half the size, the same numbers.
 */
export function graphOf(layers, bin) {
  const weights = new Weights(bin)
  const nodes = []
  const initializers = []
  const aliases = new Map()
  const named = (name) => aliases.get(name) ?? name
  let input = ''
  let output = ''

  function constant(name, dims, { type, data }) {
    initializers.push({ name, type, dims, data })
    if (type === 'float') return name
    const cast = `${name}/float`
    nodes.push({ op: 'Cast', inputs: [name], outputs: [cast], attributes: { to: 1n } })
    return cast
  }

  function convolution({ name, inputs: [from], outputs: [to], params }) {
    const count = params.get(0)
    const kernel = params.get(1)
    const has = (id, expected) => (params.get(id) ?? expected) === expected
    if (!has(2, 1) || !has(3, 1) || !has(9, 0)) {
      throw new Error(`${name}: dilation, stride and fused activation are not supported`)
    }
    const weightCount = params.get(6)
    const dims = [count, weightCount / (count * kernel * kernel), kernel, kernel]
    const operands = [named(from), constant(`${name}/w`, dims, weights.tagged(weightCount))]
    if (params.get(5) === 1) {
      operands.push(constant(`${name}/b`, [count], weights.plain(count)))
    }
    const pad = BigInt(params.get(4) ?? 0)
    nodes.push({
      op: 'Conv',
      inputs: operands,
      outputs: [to],
      attributes: {
        kernel_shape: [BigInt(kernel), BigInt(kernel)],
        pads: [pad, pad, pad, pad],
      },
    })
  }

  const add = {
    Input: ({ outputs: [to] }) => {
      input = to
    },
    Split: ({ inputs: [from], outputs }) => {
      for (const to of outputs) aliases.set(to, named(from))
    },
    MemoryData: ({ outputs: [to], params }) => {
      const dims = [2, 1, 0].map((id) => Math.max(params.get(id) ?? 0, 1))
      const count = dims.reduce((a, b) => a * b)
      initializers.push({ name: to, dims: [1, ...dims], ...weights.plain(count) })
    },
    Convolution: convolution,
    BinaryOp: ({ name, inputs, outputs, params }) => {
      const op = BINARY_OPS[params.get(0) ?? 0]
      if (op === undefined) throw new Error(`${name}: unsupported BinaryOp ${params.get(0)}`)
      const operands = inputs.map(named)
      if (params.get(1) === 1) {
        operands.push(constant(`${name}/c`, [], { type: 'float', data: floats([params.get(2)]) }))
      }
      nodes.push({ op, inputs: operands, outputs })
    },
    Sigmoid: ({ inputs, outputs }) => {
      nodes.push({ op: 'Sigmoid', inputs: inputs.map(named), outputs })
    },
    Swish: ({ inputs: [from], outputs: [to] }) => {
      nodes.push({ op: 'Sigmoid', inputs: [named(from)], outputs: [`${to}/gate`] })
      nodes.push({ op: 'Mul', inputs: [named(from), `${to}/gate`], outputs: [to] })
    },
    Concat: ({ inputs, outputs }) => {
      nodes.push({ op: 'Concat', inputs: inputs.map(named), outputs, attributes: { axis: 1n } })
    },
    PixelShuffle: ({ inputs, outputs, params }) => {
      const attributes = { blocksize: BigInt(params.get(0)), mode: 'CRD' }
      nodes.push({ op: 'DepthToSpace', inputs: inputs.map(named), outputs, attributes })
    },
  }

  for (const layer of layers) {
    const handler = add[layer.type]
    if (handler === undefined) throw new Error(`unsupported ncnn layer ${layer.type}`)
    handler(layer)
    output = layer.outputs[0]
  }
  weights.expectEnd()
  return { nodes, initializers, input, output }
}
