// Reads a state dict that torch.save wrote in its old format (before zip files): pickles, then raw
// storages. Only the part of pickle that such files use; anything else throws. Nothing in it is run.

class Pickle {
  #data
  #at
  #stack = []
  #marks = []
  #memo = new Map()

  constructor(data, at) {
    this.#data = data
    this.#at = at
  }

  static load(data, at) {
    const pickle = new Pickle(data, at)
    return { value: pickle.#run(), end: pickle.#at }
  }

  #take(length) {
    const bytes = this.#data.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  #line() {
    const end = this.#data.indexOf(10, this.#at)
    const text = this.#data.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  #popMark() {
    return this.#stack.splice(this.#marks.pop())
  }

  #top() {
    return this.#stack[this.#stack.length - 1]
  }

  #run() {
    for (;;) {
      const op = String.fromCharCode(this.#take(1)[0])
      if (op === '.') return this.#stack.pop()
      this.#step(op)
    }
  }

  #step(op) {
    const push = (value) => this.#stack.push(value)
    switch (op) {
      case '\x80':
        return this.#take(1)
      case '}':
        return push(new Map())
      case ']':
        return push([])
      case ')':
        return push([])
      case '(':
        return this.#marks.push(this.#stack.length)
      case 'N':
        return push(null)
      case '\x88':
        return push(true)
      case '\x89':
        return push(false)
      case 'K':
        return push(this.#take(1)[0])
      case 'M':
        return push(this.#take(2).readUInt16LE())
      case 'J':
        return push(this.#take(4).readInt32LE())
      case '\x8a':
        return push(this.#take(this.#take(1)[0]).toString('hex'))
      case 'X':
        return push(this.#take(this.#take(4).readUInt32LE()).toString('utf8'))
      case 'q':
        return this.#memo.set(this.#take(1)[0], this.#top())
      case 'r':
        return this.#memo.set(this.#take(4).readUInt32LE(), this.#top())
      case 'h':
        return push(this.#memo.get(this.#take(1)[0]))
      case 'j':
        return push(this.#memo.get(this.#take(4).readUInt32LE()))
      case 't':
        return push(this.#popMark())
      case '\x85':
        return push(this.#stack.splice(-1))
      case '\x86':
        return push(this.#stack.splice(-2))
      case '\x87':
        return push(this.#stack.splice(-3))
      case 'c':
        return push({ global: `${this.#line()}.${this.#line()}` })
      case 'Q':
        return push({ storage: this.#stack.pop() })
      case 'R': {
        const args = this.#stack.pop()
        return push(construct(this.#stack.pop(), args))
      }
      case 'b':
        return this.#stack.pop()
      case 's': {
        const [key, value] = this.#stack.splice(-2)
        return this.#top().set(key, value)
      }
      case 'u': {
        const items = this.#popMark()
        for (let i = 0; i < items.length; i += 2) this.#top().set(items[i], items[i + 1])
        return undefined
      }
      case 'a': {
        const item = this.#stack.pop()
        return this.#top().push(item)
      }
      case 'e': {
        const items = this.#popMark()
        return this.#top().push(...items)
      }
      default:
        throw new Error(`pickle opcode 0x${op.charCodeAt(0).toString(16)} is not supported`)
    }
  }
}

function construct({ global }, args) {
  if (global === 'collections.OrderedDict') return new Map()
  if (global === 'torch._utils._rebuild_tensor_v2') {
    const [{ storage }, offset, dims, strides] = args
    return { type: storage[1].global, key: storage[2], offset, dims, strides }
  }
  throw new Error(`${global} is not part of a plain state dict`)
}

/** @returns Map of name to `{ dims, data: Float32Array }`, rows in order whatever the strides were */
export function readStateDict(data) {
  let at = 0
  for (let header = 0; header < 3; header += 1) at = Pickle.load(data, at).end
  const dict = Pickle.load(data, at)
  const keys = Pickle.load(data, dict.end)
  at = keys.end
  const typeOf = new Map([...dict.value.values()].map((tensor) => [tensor.key, tensor.type]))
  const storages = new Map()
  for (const key of keys.value) {
    const count = Number(data.readBigInt64LE(at))
    const bytes = typeOf.get(key) === 'torch.FloatStorage' ? 4 : 8
    storages.set(key, data.subarray(at + 8, at + 8 + count * bytes))
    at += 8 + count * bytes
  }
  const floats = [...dict.value].filter(([, tensor]) => tensor.type === 'torch.FloatStorage')
  return new Map(floats.map(([name, tensor]) => [name, dense(tensor, storages.get(tensor.key))]))
}

function dense({ offset, dims, strides }, storage) {
  const out = new Float32Array(dims.reduce((product, dim) => product * dim, 1))
  const index = dims.map(() => 0)
  for (let i = 0; i < out.length; i += 1) {
    const at = index.reduce((sum, position, axis) => sum + position * strides[axis], offset)
    out[i] = storage.readFloatLE(4 * at)
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      index[axis] += 1
      if (index[axis] < dims[axis]) break
      index[axis] = 0
    }
  }
  return { dims, data: out }
}
