import { opaqueExtrinsic } from '../runtime/apis.js'
import { multiAddress, multiSignature } from '../runtime/frame-types.js'
import type { Api, Pallet, Runtime } from '../runtime/runtime.js'
import { type AnyEntry, HASHERS } from '../runtime/storage.js'
import { Writer } from '../scale/bytes.js'
import {
  type AnyCodec,
  bytes,
  encode,
  str,
  type TypeParam,
  tuple,
  u8,
  unit,
  wrapper,
} from '../scale/codec.js'
import { TypeRegistry } from '../scale/registry.js'

export type MetadataVersion = 14 | 15 | 16

/** Versions a client may ask for: V16 came with the typed runtimes. */
export const metadataVersions = (runtime: Runtime): MetadataVersion[] =>
  runtime.model < 393 ? [14, 15] : [14, 15, 16]

/**
 * The runtime's tables as `RuntimeMetadataPrefixed` (frame-metadata): `meta`, the version, then the
 * types and what refers to them. The types are numbered while the rest is written, and go first.
 */
export function encodeMetadata(runtime: Runtime, version: MetadataVersion): Uint8Array {
  const encoder = new MetadataEncoder(runtime, version)
  return encoder.encode()
}

class MetadataEncoder {
  readonly #runtime: Runtime
  readonly #version: MetadataVersion
  readonly #types = new TypeRegistry()
  readonly #out = new Writer()
  readonly #extra: AnyCodec
  readonly #unchecked: AnyCodec

  constructor(runtime: Runtime, version: MetadataVersion) {
    this.#runtime = runtime
    this.#version = version
    this.#extra = tuple<unknown[]>(...runtime.extensions.map((extension) => extension.extra))
    this.#unchecked = uncheckedExtrinsic(runtime.call, this.#extra)
  }

  encode(): Uint8Array {
    this.#list(this.#runtime.pallets, (pallet) => this.#pallet(pallet))
    this.#extrinsic()
    if (this.#version < 16) this.#ref(runtimeType)
    if (this.#version > 14) {
      this.#list(this.#runtime.apis, (api) => this.#api(api))
      this.#ref(this.#runtime.call)
      this.#ref(this.#runtime.event)
      this.#ref(this.#runtime.error)
      this.#length(0)
    }
    const whole = new Writer()
    whole.bytes(Buffer.from('meta'))
    whole.byte(this.#version)
    this.#types.write(whole)
    whole.bytes(this.#out.done())
    return whole.done()
  }

  #pallet(pallet: Pallet): void {
    this.#text(pallet.name)
    this.#option(pallet.storage.length === 0 ? undefined : pallet.storage, (entries) => {
      this.#text(pallet.name)
      this.#list(entries, (entry) => this.#entry(entry))
    })
    this.#option(pallet.calls, (codec) => this.#variants(codec))
    this.#option(pallet.events, (codec) => this.#variants(codec))
    this.#list(pallet.constants, (constant) => {
      this.#text(constant.name)
      this.#ref(constant.type)
      bytes.encode(constant.value, this.#out)
      this.#docs()
      this.#notDeprecated()
    })
    this.#option(pallet.errors, (codec) => this.#variants(codec))
    if (this.#version === 16) {
      this.#length(0) // associated types
      this.#length(0) // view functions
    }
    u8.encode(pallet.index, this.#out)
    if (this.#version > 14) this.#docs()
    this.#notDeprecated()
  }

  #variants(codec: AnyCodec): void {
    this.#ref(codec)
    if (this.#version === 16) this.#length(0) // deprecated variants
  }

  #entry(entry: AnyEntry): void {
    this.#text(entry.name)
    u8.encode(entry.fallback === undefined ? 0 : 1, this.#out)
    const [first] = entry.keys
    if (first === undefined) {
      this.#out.byte(0)
    } else {
      this.#out.byte(1)
      this.#list(entry.keys, (key) => u8.encode(HASHERS[key.hasher], this.#out))
      this.#ref(entry.keys.length === 1 ? first.codec : keyTuple(entry))
    }
    this.#ref(entry.value)
    const fallback =
      entry.fallback === undefined ? Uint8Array.of(0) : encode(entry.value, entry.fallback)
    bytes.encode(fallback, this.#out)
    this.#docs()
    this.#notDeprecated()
  }

  #extrinsic(): void {
    const { extensions } = this.#runtime
    if (this.#version === 14) {
      this.#ref(this.#unchecked)
      u8.encode(4, this.#out)
    } else if (this.#version === 15) {
      u8.encode(4, this.#out)
      for (const type of [multiAddress, this.#runtime.call, multiSignature, this.#extra])
        this.#ref(type)
    } else {
      bytes.encode(Uint8Array.of(4, 5), this.#out)
      for (const type of [multiAddress, this.#runtime.call, multiSignature]) this.#ref(type)
      this.#length(1)
      u8.encode(0, this.#out)
      this.#list([...extensions.keys()], (index) => this.#length(index))
    }
    this.#list(extensions, (extension) => {
      this.#text(extension.name)
      this.#ref(extension.extra)
      this.#ref(extension.implicit)
    })
  }

  #api(api: Api): void {
    this.#text(api.name)
    this.#list(api.methods, ({ name, method }) => {
      this.#text(name)
      this.#list(Object.entries(method.inputs), ([input, type]) => {
        this.#text(input)
        this.#ref(type === opaqueExtrinsic ? this.#unchecked : type)
      })
      const opaque = method.opaque && this.#runtime.model < 393
      this.#ref(opaque ? bytes : method.output)
      this.#docs()
      this.#notDeprecated()
    })
    this.#docs()
    if (this.#version === 16) this.#length(api.version)
    this.#notDeprecated()
  }

  #text(value: string): void {
    str.encode(value, this.#out)
  }

  #length(value: number): void {
    this.#out.compact(BigInt(value))
  }

  #list<T>(items: readonly T[], write: (item: T) => void): void {
    this.#length(items.length)
    for (const item of items) write(item)
  }

  #option<T>(value: T | undefined, write: (value: T) => void): void {
    this.#out.byte(value === undefined ? 0 : 1)
    if (value !== undefined) write(value)
  }

  #ref(codec: AnyCodec): void {
    this.#types.ref(codec, this.#out)
  }

  #docs(): void {
    this.#length(0)
  }

  #notDeprecated(): void {
    if (this.#version === 16) this.#out.byte(0)
  }
}

const runtimeType = wrapper('node_subtensor_runtime::Runtime', unit)

const keyTuple = (entry: AnyEntry): AnyCodec =>
  tuple<unknown[]>(...entry.keys.map((key) => key.codec))

/** Decoders read the address, call, signature and extra types from this type's parameters. */
function uncheckedExtrinsic(call: AnyCodec, extra: AnyCodec): AnyCodec {
  const params: TypeParam[] = [
    { name: 'Address', type: multiAddress },
    { name: 'Call', type: call },
    { name: 'Signature', type: multiSignature },
    { name: 'Extra', type: extra },
  ]
  const path = 'sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic'
  const fields = [{ name: undefined, type: bytes }]
  return { ...bytes, shape: { kind: 'composite', path, fields, params } }
}
