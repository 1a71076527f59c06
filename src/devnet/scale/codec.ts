import { DevnetError } from '../errors.js'
import { Reader, toHex, Writer } from './bytes.js'

export const PRIMITIVES = [
  'bool',
  'char',
  'str',
  'u8',
  'u16',
  'u32',
  'u64',
  'u128',
  'u256',
  'i8',
  'i16',
  'i32',
  'i64',
  'i128',
  'i256',
] as const
export type Primitive = (typeof PRIMITIVES)[number]

/** Reads and writes one SCALE type, and describes it for metadata. */
export interface Codec<T> {
  readonly shape: Shape
  /** Fewest bytes a value takes: bounds what a hostile length may allocate. */
  readonly minBytes: number
  encode(value: T, out: Writer): void
  decode(input: Reader): T
}

export type AnyCodec = Codec<unknown>
/** The value type of a codec. */
export type Value<C> = C extends Codec<infer T> ? T : never

export interface Field {
  readonly name: string | undefined
  readonly type: AnyCodec
}

export interface Variant {
  readonly name: string
  readonly index: number
  readonly fields: readonly Field[]
}

export interface TypeParam {
  readonly name: string
  readonly type: AnyCodec | undefined
}

/** What a type looks like in metadata. */
export type Shape =
  | { readonly kind: 'primitive'; readonly primitive: Primitive }
  | { readonly kind: 'compact' | 'sequence'; readonly of: AnyCodec }
  | { readonly kind: 'array'; readonly of: AnyCodec; readonly length: number }
  | { readonly kind: 'tuple'; readonly of: readonly AnyCodec[] }
  | {
      readonly kind: 'composite'
      readonly path: string
      readonly fields: readonly Field[]
      readonly params?: readonly TypeParam[]
    }
  | {
      readonly kind: 'variant'
      readonly path: string
      readonly variants: readonly Variant[]
      readonly params?: readonly TypeParam[]
    }

function primitive<T>(
  name: Primitive,
  minBytes: number,
  encode: Codec<T>['encode'],
  decode: Codec<T>['decode'],
): Codec<T> {
  return { shape: { kind: 'primitive', primitive: name }, minBytes, encode, decode }
}

const small = (name: Primitive, bytes: number): Codec<number> =>
  primitive(
    name,
    bytes,
    (value, out) => out.int(BigInt(value), bytes),
    (input) => Number(input.int(bytes, false)),
  )

const large = (name: Primitive, bytes: number, signed = false): Codec<bigint> =>
  primitive(
    name,
    bytes,
    (value, out) => out.int(value, bytes),
    (input) => input.int(bytes, signed),
  )

export const u8 = small('u8', 1)
export const u16 = small('u16', 2)
export const u32 = small('u32', 4)
export const u64 = large('u64', 8)
export const u128 = large('u128', 16)
export const i64 = large('i64', 8, true)
export const i128 = large('i128', 16, true)

export const bool: Codec<boolean> = primitive(
  'bool',
  1,
  (value, out) => out.byte(value ? 1 : 0),
  (input) => input.byte() === 1,
)

/** Compact form of a small unsigned integer. */
export function compact(of: Codec<number>): Codec<number> {
  return {
    shape: { kind: 'compact', of },
    minBytes: 1,
    encode: (value, out) => out.compact(BigInt(value)),
    decode: (input) => Number(input.compact()),
  }
}

/** Compact form of a large unsigned integer. */
export function compactBig(of: Codec<bigint>): Codec<bigint> {
  return {
    shape: { kind: 'compact', of },
    minBytes: 1,
    encode: (value, out) => out.compact(value),
    decode: (input) => input.compact(),
  }
}

export const unit: Codec<undefined> = {
  shape: { kind: 'tuple', of: [] },
  minBytes: 0,
  encode: () => {},
  decode: () => undefined,
}

export function vec<T>(of: Codec<T>): Codec<T[]> {
  return {
    shape: { kind: 'sequence', of },
    minBytes: 1,
    encode: (value, out) => {
      out.compact(BigInt(value.length))
      for (const item of value) of.encode(item, out)
    },
    decode: (input) => {
      const out: T[] = []
      for (let left = input.length(Math.max(1, of.minBytes)); left > 0; left -= 1) {
        out.push(of.decode(input))
      }
      return out
    },
  }
}

/** `Vec<u8>` as bytes. */
export const bytes: Codec<Uint8Array> = {
  shape: { kind: 'sequence', of: u8 },
  minBytes: 1,
  encode: (value, out) => {
    out.compact(BigInt(value.length))
    out.bytes(value)
  },
  decode: (input) => input.bytes(input.length(1)).slice(),
}

export const str: Codec<string> = primitive(
  'str',
  1,
  (value, out) => bytes.encode(Buffer.from(value, 'utf8'), out),
  (input) => Buffer.from(bytes.decode(input)).toString('utf8'),
)

/** `[u8; length]` as bytes. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    shape: { kind: 'array', of: u8, length },
    minBytes: length,
    encode: (value, out) => out.bytes(value.subarray(0, length)),
    decode: (input) => input.bytes(length).slice(),
  }
}

export function tuple<T extends readonly unknown[]>(
  ...of: { readonly [K in keyof T]: Codec<T[K]> }
): Codec<T> {
  const items = of as readonly AnyCodec[]
  return {
    shape: { kind: 'tuple', of: items },
    minBytes: items.reduce((sum, item) => sum + item.minBytes, 0),
    encode: (value, out) => {
      items.forEach((item, i) => {
        item.encode(value[i], out)
      })
    },
    decode: (input) => items.map((item) => item.decode(input)) as unknown as T,
  }
}

type Fields = Readonly<Record<string, AnyCodec>>
export type StructValue<F extends Fields> = { -readonly [K in keyof F]: Value<F[K]> }

/** A struct with named fields, in order. `path` is the Rust path, `::` between its parts. */
export function struct<F extends Fields>(
  path: string,
  fields: F,
  params: readonly TypeParam[] = [],
): Codec<StructValue<F>> {
  const list = Object.entries(fields)
  return {
    shape: {
      kind: 'composite',
      path,
      fields: list.map(([name, type]) => ({ name, type })),
      params,
    },
    minBytes: list.reduce((sum, [, type]) => sum + type.minBytes, 0),
    encode: (value, out) => {
      for (const [name, type] of list) type.encode(value[name], out)
    },
    decode: (input) => {
      const out: Record<string, unknown> = {}
      for (const [name, type] of list) out[name] = type.decode(input)
      return out as StructValue<F>
    },
  }
}

/** A Rust newtype: a named wrapper that encodes as what it holds. `field` names the inner field. */
export function wrapper<T>(path: string, of: Codec<T>, field?: string): Codec<T> {
  return {
    shape: { kind: 'composite', path, fields: [{ name: field, type: of }] },
    minBytes: of.minBytes,
    encode: (value, out) => of.encode(value, out),
    decode: (input) => of.decode(input),
  }
}

export function option<T>(of: Codec<T>): Codec<T | undefined> {
  return {
    shape: {
      kind: 'variant',
      path: 'Option',
      params: [{ name: 'T', type: of }],
      variants: [
        { name: 'None', index: 0, fields: [] },
        { name: 'Some', index: 1, fields: [{ name: undefined, type: of }] },
      ],
    },
    minBytes: 1,
    encode: (value, out) => {
      out.byte(value === undefined ? 0 : 1)
      if (value !== undefined) of.encode(value, out)
    },
    decode: (input) => {
      const tag = input.byte()
      if (tag > 1) throw badVariant('Option', tag)
      return tag === 1 ? of.decode(input) : undefined
    },
  }
}

/** A value of an enum: the variant's name and its fields, in order. */
export interface EnumValue {
  readonly name: string
  readonly values: readonly unknown[]
}

/** An enum. Fields are given and read as a list, in order; names are for metadata. */
export function enumOf(
  path: string,
  variants: readonly Variant[],
  params?: readonly TypeParam[],
): Codec<EnumValue> {
  const byName = new Map(variants.map((v) => [v.name, v]))
  const byIndex = new Map(variants.map((v) => [v.index, v]))
  return {
    shape: { kind: 'variant', path, variants, ...(params === undefined ? {} : { params }) },
    minBytes: 1,
    encode: (value, out) => {
      const variant = byName.get(value.name)
      if (variant === undefined) throw badVariant(path, value.name)
      out.byte(variant.index)
      variant.fields.forEach((field, i) => {
        field.type.encode(value.values[i], out)
      })
    },
    decode: (input) => {
      const index = input.byte()
      const variant = byIndex.get(index)
      if (variant === undefined) throw badVariant(path, index)
      return { name: variant.name, values: variant.fields.map((f) => f.type.decode(input)) }
    },
  }
}

/** The variants of an enum without fields, indices from 0. */
export const plainVariants = (...names: string[]): Variant[] =>
  names.map((name, index) => ({ name, index, fields: [] }))

/** A variant with unnamed fields. */
export const variant = (name: string, index: number, ...types: AnyCodec[]): Variant => ({
  name,
  index,
  fields: types.map((type) => ({ name: undefined, type })),
})

function badVariant(path: string, tag: string | number): DevnetError {
  return new DevnetError({ code: 'DEVNET_SCALE_INVALID', at: 0 }, `${path} has no variant ${tag}`)
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const out = new Writer()
  codec.encode(value, out)
  return out.done()
}

export const decode = <T>(codec: Codec<T>, data: Uint8Array): T => codec.decode(new Reader(data))

export const encodeHex = <T>(codec: Codec<T>, value: T): string => toHex(encode(codec, value))
