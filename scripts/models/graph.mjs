// Builds an ONNX graph node by node; names are made up in order, so the same calls give the same bytes.
import { doubles, floats, longs } from './onnx.mjs'

/** A constant is shared by value: [type, dims, data] decides. */
const PACK = {
  float: floats,
  double: doubles,
  int64: longs,
  bool: (values) => Buffer.from(values.map(Number)),
}

export class Graph {
  nodes = []
  initializers = []
  #constants = new Map()
  #count

  /** Names of a nested graph must differ from those outside: it gets a prefix. */
  constructor(prefix = 't') {
    this.prefix = prefix
    this.#count = 0
  }

  name() {
    this.#count += 1
    return `${this.prefix}${this.#count}`
  }

  /** A constant tensor; `dims` default to a list's own length, a single number is a scalar. */
  constant(type, values, dims) {
    const list = Array.isArray(values) ? values : [values]
    const shape = dims ?? (Array.isArray(values) ? [list.length] : [])
    const data = PACK[type](list)
    const key = `${type}|${shape}|${data.toString('latin1')}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const name = this.name()
    this.initializers.push({ name, type, dims: shape, data })
    this.#constants.set(key, name)
    return name
  }

  float(value) {
    return this.constant('float', value)
  }

  long(...values) {
    return this.constant('int64', values)
  }

  /** Adds a node with one output and returns its name. */
  op(type, inputs, attributes = {}) {
    return this.ops(type, inputs, attributes, 1)[0]
  }

  /** Adds a node with several outputs. */
  ops(type, inputs, attributes, outputCount) {
    const outputs = Array.from({ length: outputCount }, () => this.name())
    this.nodes.push({ op: type, inputs, outputs, attributes })
    return outputs
  }

  /**
   * Runs `body(inner, index)` for index 0 to `count` - 1 and returns its values, stacked along a new first
   * axis. `inner` sees the values of this graph by name; `ranks` are the ranks of the values.
   */
  loop(count, ranks, body) {
    const inner = new Graph(`${this.name()}_`)
    const [index, going, goesOn] = ['i', 'going', 'on'].map((part) => inner.prefix + part)
    const values = body(inner, index)
    inner.nodes.push({ op: 'Identity', inputs: [going], outputs: [goesOn] })
    const free = (rank, value) => Array.from({ length: rank }, (_, axis) => `${value}_${axis}`)
    const graph = {
      name: `${inner.prefix}body`,
      nodes: inner.nodes,
      initializers: inner.initializers,
      inputs: [
        { name: index, type: 'int64', dims: [] },
        { name: going, type: 'bool', dims: [] },
      ],
      outputs: [
        { name: goesOn, type: 'bool', dims: [] },
        ...values.map((name, i) => ({ name, type: 'float', dims: free(ranks[i], name) })),
      ],
    }
    const inputs = [count, this.constant('bool', true)]
    return this.ops('Loop', inputs, { body: graph }, values.length)
  }

  /** The last value under a name of its own. */
  output(value, name) {
    this.nodes.push({ op: 'Identity', inputs: [value], outputs: [name] })
  }

  add = (a, b) => this.op('Add', [a, b])
  sub = (a, b) => this.op('Sub', [a, b])
  mul = (a, b) => this.op('Mul', [a, b])
  div = (a, b) => this.op('Div', [a, b])
  relu = (a) => this.op('Relu', [a])
  floor = (a) => this.op('Floor', [a])
  abs = (a) => this.op('Abs', [a])
  log = (a) => this.op('Log', [a])
  min = (a, b) => this.op('Min', [a, b])
  max = (a, b) => this.op('Max', [a, b])
  where = (condition, a, b) => this.op('Where', [condition, a, b])
  concat = (axis, ...parts) => this.op('Concat', parts, { axis: BigInt(axis) })
  cast = (a, to) => this.op('Cast', [a], { to: BigInt(to) })
  reshape = (a, shape) => this.op('Reshape', [a, shape])

  /** Splits into equal single slices along an axis. */
  split(a, axis, ...sizes) {
    return this.ops('Split', [a, this.long(...sizes)], { axis: BigInt(axis) }, sizes.length)
  }

  /** `a[from:to]` along the axes; bounds are numbers or names of int64 vectors. */
  slice(a, from, to, axes) {
    const bound = (value) => (typeof value === 'string' ? value : this.long(...value))
    return this.op('Slice', [a, bound(from), bound(to), this.long(...axes)])
  }

  sum(a, axes, keepDims = false) {
    return this.op('ReduceSum', [a, this.long(...axes)], { keepdims: keepDims ? 1n : 0n })
  }

  /** Reflects the border, edge not repeated; pads in pixels per side of the last two axes. */
  reflect(a, top, left, bottom, right) {
    const pads = this.long(0, 0, top, left, 0, 0, bottom, right)
    return this.op('Pad', [a, pads], { mode: 'reflect' })
  }

  /** A convolution without padding. `kernel` is flat, [out, in / group, height, width]. */
  conv(a, kernel, dims, { strides = [1, 1], group = 1, bias } = {}) {
    const inputs = [a, this.constant('float', kernel, dims)]
    if (bias !== undefined) inputs.push(this.constant('float', bias))
    return this.op('Conv', inputs, {
      kernel_shape: [BigInt(dims[2]), BigInt(dims[3])],
      strides: strides.map(BigInt),
      pads: [0n, 0n, 0n, 0n],
      group: BigInt(group),
    })
  }
}
