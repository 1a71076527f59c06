// Writes ONNX files: just the part of protobuf and of onnx.proto that our models use. The same
// graph gives the same bytes, so a model can be made again and compared by its hash.

/** TensorProto.DataType. */
export const TYPE = {
  float: 1,
  uint8: 2,
  uint16: 4,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
}

function varint(value) {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes = []
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest === 0n ? low : low | 0x80)
  } while (rest !== 0n)
  return Buffer.from(bytes)
}

const key = (field, wire) => varint((field << 3) | wire)
const integer = (field, value) => Buffer.concat([key(field, 0), varint(value)])
const bytes = (field, value) => Buffer.concat([key(field, 2), varint(value.length), value])
const text = (field, value) => bytes(field, Buffer.from(value, 'utf8'))
const message = (field, parts) => bytes(field, Buffer.concat(parts))
function float(field, value) {
  const data = Buffer.alloc(4)
  data.writeFloatLE(value)
  return Buffer.concat([key(field, 5), data])
}

/** A tensor: `{ name, type: keyof TYPE, dims, data: Buffer }`, data little-endian, row by row. */
function tensorParts({ name, type, dims, data }) {
  return [
    ...dims.map((dim) => integer(1, dim)),
    integer(2, TYPE[type]),
    text(8, name),
    bytes(9, data),
  ]
}

/** Attribute values: integers as bigint or arrays of bigint, floats as number, text as string, graphs, tensors. */
function attributeParts(name, value) {
  if (typeof value === 'bigint') return [text(1, name), integer(3, value), integer(20, 2)]
  if (typeof value === 'number') return [text(1, name), float(2, value), integer(20, 1)]
  if (typeof value === 'string') return [text(1, name), text(4, value), integer(20, 3)]
  if (Array.isArray(value)) {
    return [text(1, name), ...value.map((item) => integer(8, item)), integer(20, 7)]
  }
  if ('nodes' in value) return [text(1, name), message(6, graphParts(value)), integer(20, 5)]
  return [text(1, name), message(5, tensorParts(value)), integer(20, 4)]
}

function nodeParts({ op, inputs, outputs, attributes = {} }) {
  return [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, attributeParts(name, value))),
  ]
}

/** Dimensions: a number is fixed, a string names a free one. */
function valueParts({ name, type, dims }) {
  const shape = dims.map((dim) =>
    message(1, [typeof dim === 'string' ? text(2, dim) : integer(1, dim)]),
  )
  return [text(1, name), message(2, [message(1, [integer(1, TYPE[type]), message(2, shape)])])]
}

function graphParts({ name, nodes, initializers, inputs, outputs }) {
  return [
    ...nodes.map((node) => message(1, nodeParts(node))),
    text(2, name),
    ...initializers.map((tensor) => message(5, tensorParts(tensor))),
    ...inputs.map((value) => message(11, valueParts(value))),
    ...outputs.map((value) => message(12, valueParts(value))),
  ]
}

/** Encodes a model of one graph. `opset` is the version of the default operator set. */
export function encodeModel({ opset, ...graph }) {
  return Buffer.concat([
    integer(1, 8),
    text(2, 'subreel'),
    message(7, graphParts(graph)),
    message(8, [text(1, ''), integer(2, opset)]),
  ])
}

/** Bytes of a list of numbers as one tensor's data. */
export const floats = (values) => Buffer.from(new Float32Array(values).buffer)
export const doubles = (values) => Buffer.from(new Float64Array(values).buffer)
export const longs = (values) => Buffer.from(new BigInt64Array(values.map(BigInt)).buffer)
/** 16-bit floats, rounded to the nearest even; values must be within ±65504. */
export function halves(values) {
  const out = Buffer.alloc(values.length * 2)
  const float = new Float32Array(1)
  const bits = new Uint32Array(float.buffer)
  for (let i = 0; i < values.length; i += 1) {
    float[0] = values[i]
    const sign = (bits[0] >>> 16) & 0x8000
    const magnitude = Math.abs(float[0])
    if (!(magnitude <= 65504)) throw new RangeError(`${values[i]} does not fit 16 bits`)
    // Below 2^-14 halves are multiples of 2^-24; above, the exponent is cut and the mantissa rounded.
    const small = magnitude < 2 ** -14
    const rounded = ((bits[0] & 0x7fffffff) + 0xfff + ((bits[0] >>> 13) & 1)) >>> 13
    const half = small ? roundEven(magnitude * 2 ** 24) : rounded - ((127 - 15) << 10)
    out.writeUInt16LE(sign | half, 2 * i)
  }
  return out
}

function roundEven(value) {
  const low = Math.floor(value)
  const rest = value - low
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low
}
