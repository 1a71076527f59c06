import { Metadata, TypeRegistry } from '@polkadot/types'
import type { PalletMetadataLatest, SiLookupTypeId } from '@polkadot/types/interfaces'

/** What a runtime's metadata says of its parts: a line for each, types spelt out to their primitives. */
export interface MetadataListing {
  readonly calls: Readonly<Record<string, string>>
  readonly errors: Readonly<Record<string, string>>
  readonly events: Readonly<Record<string, string>>
  readonly storage: Readonly<Record<string, string>>
  readonly apis: Readonly<Record<string, string>>
}

/** @param data metadata of version 15 or 16, without the length before it */
export function listMetadata(data: Uint8Array): MetadataListing {
  const registry = new TypeRegistry()
  const metadata = new Metadata(registry, `0x${Buffer.from(data).toString('hex')}`)
  registry.setMetadata(metadata)
  const { pallets, apis } = metadata.asLatest
  const type = (id: SiLookupTypeId): string => spell(registry, id)
  const items = <T>(
    of: (pallet: PalletMetadataLatest) => Iterable<T>,
    line: (item: T) => readonly [name: string, line: string],
  ) =>
    Object.fromEntries(
      [...pallets].flatMap((pallet) =>
        [...of(pallet)].map((item) => {
          const [name, text] = line(item)
          return [`${pallet.name.toString()}.${name}`, text]
        }),
      ),
    )
  const variants = (id: SiLookupTypeId | undefined) =>
    id === undefined ? [] : registry.lookup.getSiType(id).def.asVariant.variants
  type Variant = ReturnType<typeof variants>[number]
  const call = ({ name, index, fields }: Variant) =>
    [
      name.toString(),
      `${index.toNumber()} (${fields.map((f) => `${f.name.unwrap().toString()}: ${type(f.type)}`).join(', ')})`,
    ] as const
  const other = ({ name, index, fields }: Variant) =>
    [
      name.toString(),
      `${index.toNumber()} (${fields.map((f) => type(f.type)).join(', ')})`,
    ] as const
  return {
    calls: items((p) => variants(p.calls.unwrapOr(undefined)?.type), call),
    errors: items((p) => variants(p.errors.unwrapOr(undefined)?.type), other),
    events: items((p) => variants(p.events.unwrapOr(undefined)?.type), other),
    storage: items(
      (p) => p.storage.unwrapOr(undefined)?.items ?? [],
      ({ name, type: stored, modifier }) => [
        name.toString(),
        stored.isPlain
          ? `${modifier.type} ${type(stored.asPlain)}`
          : `${modifier.type} ${stored.asMap.hashers.map(({ type: hasher }) => hasher).join()} ` +
            `${type(stored.asMap.key)} => ${type(stored.asMap.value)}`,
      ],
    ),
    apis: Object.fromEntries(
      [...apis].flatMap((api) =>
        [...api.methods].map((method) => [
          `${api.name.toString()}.${method.name.toString()}`,
          `(${method.inputs.map((input) => type(input.type)).join(', ')}) -> ${type(method.output)}`,
        ]),
      ),
    ),
  }
}

/** A type down to its primitives; wrappers of one unnamed field, which encode as it does, are left out. */
function spell(registry: TypeRegistry, id: SiLookupTypeId): string {
  const { def, path } = registry.lookup.getSiType(id)
  const inner = (of: SiLookupTypeId) => spell(registry, of)
  const name = path.at(-1)?.toString() ?? ''
  // The two that hold every call and event of the runtime.
  if (['RuntimeCall', 'RuntimeEvent', 'RuntimeError'].includes(name)) return name
  if (def.isCompact) return `Compact<${inner(def.asCompact.type)}>`
  if (def.isSequence) return `[${inner(def.asSequence.type)}]`
  if (def.isArray) return `[${inner(def.asArray.type)}; ${def.asArray.len.toNumber()}]`
  if (def.isTuple) return `(${def.asTuple.map(inner).join(', ')})`
  if (def.isComposite) {
    const { fields } = def.asComposite
    const [only] = fields
    if (fields.length === 1 && only?.name.isNone) return inner(only.type)
    return `{${fields.map((f) => `${f.name.unwrapOr('').toString()}: ${inner(f.type)}`).join(', ')}}`
  }
  if (def.isVariant) {
    const variants = def.asVariant.variants.map(
      (v) =>
        `${v.index.toNumber()} ${v.name.toString()}(${v.fields.map((f) => inner(f.type)).join(', ')})`,
    )
    return `${name}<${variants.join(' | ')}>`
  }
  return def.isPrimitive ? def.asPrimitive.type.toLowerCase() : def.type
}
