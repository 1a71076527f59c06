import type { Writer } from './bytes.js'
import {
  type AnyCodec,
  bool,
  type Field,
  PRIMITIVES,
  type Shape,
  str,
  u8,
  u32,
  vec,
} from './codec.js'

/**
 * Numbers the types that metadata mentions and writes them as a `PortableRegistry` (scale-info 2).
 * Types with equal content share a number, which is what decoders expect of `Vec<u8>` and friends.
 */
export class TypeRegistry {
  readonly #ids = new Map<AnyCodec, number>()
  readonly #byContent = new Map<string, number>()
  readonly #shapes: Shape[] = []

  /** The number of a type; its parts are numbered as well. */
  id(codec: AnyCodec): number {
    const known = this.#ids.get(codec)
    if (known !== undefined) return known
    const { shape } = codec
    if (shape.kind === 'composite' || shape.kind === 'variant') return this.#named(codec, shape)
    const parts = 'of' in shape ? [shape.of].flat().map((part) => this.id(part)) : []
    const detail =
      shape.kind === 'primitive' ? shape.primitive : 'length' in shape ? shape.length : ''
    return this.#add(codec, `${shape.kind} ${detail} ${parts.join()}`)
  }

  #named(codec: AnyCodec, shape: Shape & { kind: 'composite' | 'variant' }): number {
    const fields =
      shape.kind === 'composite' ? shape.fields : shape.variants.flatMap((v) => v.fields)
    const parts = fields.map((f) => this.id(f.type))
    for (const param of shape.params ?? []) if (param.type !== undefined) this.id(param.type)
    const names =
      shape.kind === 'composite'
        ? shape.fields.map((f) => f.name)
        : shape.variants.map((v) => `${v.index}${v.name}/${v.fields.length}`)
    return this.#add(codec, `${shape.kind} ${shape.path} ${parts.join()} ${names.join()}`)
  }

  #add(codec: AnyCodec, content: string): number {
    const same = this.#byContent.get(content)
    const id = same ?? this.#shapes.length
    if (same === undefined) {
      this.#byContent.set(content, id)
      this.#shapes.push(codec.shape)
    }
    this.#ids.set(codec, id)
    return id
  }

  /** Writes every type numbered so far; numbering one while writing would be a fault of the caller. */
  write(out: Writer): void {
    out.compact(BigInt(this.#shapes.length))
    this.#shapes.forEach((shape, id) => {
      out.compact(BigInt(id))
      this.#writeType(shape, out)
    })
  }

  #writeType(shape: Shape, out: Writer): void {
    const path = 'path' in shape ? shape.path.split('::') : []
    vec(str).encode(path, out)
    const params = ('params' in shape ? shape.params : undefined) ?? []
    out.compact(BigInt(params.length))
    for (const param of params) {
      str.encode(param.name, out)
      bool.encode(param.type !== undefined, out)
      if (param.type !== undefined) this.ref(param.type, out)
    }
    this.#writeDefinition(shape, out)
    out.compact(0n)
  }

  #writeDefinition(shape: Shape, out: Writer): void {
    switch (shape.kind) {
      case 'composite':
        out.byte(0)
        this.#writeFields(shape.fields, out)
        return
      case 'variant':
        out.byte(1)
        out.compact(BigInt(shape.variants.length))
        for (const variant of shape.variants) {
          str.encode(variant.name, out)
          this.#writeFields(variant.fields, out)
          u8.encode(variant.index, out)
          out.compact(0n)
        }
        return
      case 'sequence':
        out.byte(2)
        this.ref(shape.of, out)
        return
      case 'array':
        out.byte(3)
        u32.encode(shape.length, out)
        this.ref(shape.of, out)
        return
      case 'tuple':
        out.byte(4)
        out.compact(BigInt(shape.of.length))
        for (const part of shape.of) this.ref(part, out)
        return
      case 'primitive':
        out.byte(5)
        u8.encode(PRIMITIVES.indexOf(shape.primitive), out)
        return
      case 'compact':
        out.byte(6)
        this.ref(shape.of, out)
        return
    }
  }

  #writeFields(fields: readonly Field[], out: Writer): void {
    out.compact(BigInt(fields.length))
    for (const field of fields) {
      bool.encode(field.name !== undefined, out)
      if (field.name !== undefined) str.encode(field.name, out)
      this.ref(field.type, out)
      bool.encode(true, out)
      str.encode(rustName(field.type), out)
      out.compact(0n)
    }
  }

  /** Writes a reference to a type: its number in compact form. */
  ref(codec: AnyCodec, out: Writer): void {
    out.compact(BigInt(this.id(codec)))
  }
}

/** What Rust source would call a type. Decoders of older make want one for each argument of a call. */
function rustName({ shape }: AnyCodec): string {
  switch (shape.kind) {
    case 'primitive':
      return shape.primitive
    case 'compact':
      return rustName(shape.of)
    case 'sequence':
      return `Vec<${rustName(shape.of)}>`
    case 'array':
      return `[${rustName(shape.of)}; ${shape.length}]`
    case 'tuple':
      return `(${shape.of.map(rustName).join(', ')})`
    default:
      return shape.path.split('::').at(-1) ?? shape.path
  }
}
