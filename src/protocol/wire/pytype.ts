import type { z } from 'zod'
import { ProtocolError } from '../errors.js'
import {
  fromPlain,
  inOrder,
  isPyDict,
  isPyList,
  PyFloat,
  type PyValue,
  setKey,
  toPlain,
} from './python.js'

/**
 * How one schema's values cross the wire. `decode` turns what the JSON reader gave into what the
 * schema parses; `encode` turns what the schema parsed back into Python's value, so that a 5 in a
 * float field is 5.0 again. `raw` is what the value was read from, when it was read.
 */
export interface PyType {
  decode(raw: PyValue): unknown
  encode(value: unknown, raw?: PyValue): PyValue
}

type Schema = z.core.$ZodType
type Def = z.core.$ZodTypes['_zod']['def']

const ANY: PyType = { decode: toPlain, encode: fromPlain }
const SAME: PyType = { decode: toPlain, encode: (value) => fromPlain(value) }

const FLOAT: PyType = {
  decode: (raw) => (typeof raw === 'bigint' ? Number(raw) : toPlain(raw)),
  encode: (value) => (typeof value === 'number' ? new PyFloat(value) : fromPlain(value)),
}

const INT: PyType = {
  decode: (raw) => (typeof raw === 'bigint' ? Number(raw) : toPlain(raw)),
  encode: (value, raw) => {
    if (typeof value !== 'number') return fromPlain(value)
    if (typeof raw === 'bigint' && Number(raw) === value) return raw
    return Number.isSafeInteger(value) ? value : BigInt(value)
  },
}

const BIGINT: PyType = {
  decode: (raw) => {
    const value = toPlain(raw)
    return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
  },
  encode: (value) => fromPlain(value),
}

const LEAVES: Partial<Record<Def['type'], PyType>> = {
  string: SAME,
  boolean: SAME,
  null: SAME,
  literal: SAME,
  enum: SAME,
  template_literal: SAME,
  bigint: BIGINT,
  any: ANY,
  unknown: ANY,
  never: ANY,
  transform: ANY,
  custom: ANY,
}

/**
 * The wire type of a zod schema: `z.number()` is Python's float, `z.int()` and `multipleOf(1)` an
 * int, `z.bigint()` an int of any size, `z.unknown()` keeps 1 and 1.0 apart, `optional()` is None when
 * absent.
 * @throws ProtocolError PROTOCOL_DEFINITION_INVALID for types JSON cannot carry
 */
export function compileType(schema: Schema, synapse: string, field: string): PyType {
  const def = (schema as z.core.$ZodTypes)._zod.def
  const leaf = LEAVES[def.type]
  if (leaf !== undefined) return leaf
  const compile = (inner: Schema) => compileType(inner, synapse, field)
  switch (def.type) {
    case 'number':
      return isIntDef(def) ? INT : FLOAT
    case 'object':
      return objectType(
        new Map(Object.entries(def.shape).map(([key, inner]) => [key, compile(inner)])),
      )
    case 'record':
      return recordType(compile(def.valueType))
    case 'array':
      return listType(() => compile(def.element))
    case 'tuple': {
      const items = def.items.map(compile)
      const rest = def.rest === null ? ANY : compile(def.rest)
      return tupleType(items, rest)
    }
    case 'optional':
      return optionalType(compile(def.innerType))
    case 'nullable':
      return nullableType(compile(def.innerType))
    case 'default':
    case 'prefault':
    case 'catch':
    case 'readonly':
    case 'nonoptional':
      return compile(def.innerType)
    case 'pipe':
      return pipeType(compile(def.in), compile(def.out), def)
    case 'lazy':
      return lazyType(() => compile(def.getter()))
    case 'union':
      return unionType(def.options.map((option) => ({ option, type: compile(option) })))
    default:
      throw new ProtocolError(
        { code: 'PROTOCOL_DEFINITION_INVALID', synapse, field },
        `synapse ${synapse}: field ${field} has a ${def.type} schema, which JSON cannot carry; use strings, numbers, booleans, lists, objects and records`,
      )
  }
}

function isIntDef(def: z.core.$ZodNumberDef & { format?: string }): boolean {
  if (def.format?.includes('int')) return true
  return (def.checks ?? []).some((check) => {
    const inner = check._zod.def as { check: string; format?: string; value?: unknown }
    if (inner.check === 'number_format') return inner.format?.includes('int') ?? false
    return inner.check === 'multiple_of' && inner.value === 1
  })
}

/** The wire type of an object: its declared fields in their order; unknown keys are dropped. */
export function objectType(fields: ReadonlyMap<string, PyType>): PyType {
  return {
    decode: (raw) => {
      if (!isPyDict(raw)) return toPlain(raw)
      const out: Record<string, unknown> = {}
      for (const [key, type] of fields) {
        const item = raw.get(key)
        if (item === undefined) continue
        const value = type.decode(item)
        if (value !== undefined) setKey(out, key, value)
      }
      return out
    },
    encode: (value, raw) => {
      if (typeof value !== 'object' || value === null) return fromPlain(value)
      const rawDict = isPyDict(raw) ? raw : undefined
      const out = new Map<string, PyValue>()
      for (const [key, type] of fields) {
        out.set(key, type.encode((value as Record<string, unknown>)[key], rawDict?.get(key)))
      }
      return out
    },
  }
}

function recordType(values: PyType): PyType {
  return {
    decode: (raw) => {
      if (!isPyDict(raw)) return toPlain(raw)
      const out: Record<string, unknown> = {}
      for (const [key, item] of raw) setKey(out, key, values.decode(item))
      return out
    },
    encode: (value, raw) => {
      if (typeof value !== 'object' || value === null) return fromPlain(value)
      const rawDict = isPyDict(raw) ? raw : undefined
      return inOrder(new Map(Object.entries(value)), rawDict, (item, key) =>
        values.encode(item, rawDict?.get(key)),
      )
    },
  }
}

function listType(element: () => PyType): PyType {
  const type = lazyType(element)
  return tupleType([], type)
}

function tupleType(items: readonly PyType[], rest: PyType): PyType {
  return {
    decode: (raw) =>
      isPyList(raw) ? raw.map((item, i) => (items[i] ?? rest).decode(item)) : toPlain(raw),
    encode: (value, raw) => {
      if (!Array.isArray(value)) return fromPlain(value)
      const rawList = isPyList(raw) ? raw : []
      return value.map((item, i) => (items[i] ?? rest).encode(item, rawList[i]))
    },
  }
}

/** Python's `Optional[T] = None`: absent here, null on the wire. */
function optionalType(inner: PyType): PyType {
  return {
    decode: (raw) => (raw === null ? undefined : inner.decode(raw)),
    encode: (value, raw) => (value === undefined ? null : inner.encode(value, raw)),
  }
}

function nullableType(inner: PyType): PyType {
  return {
    decode: (raw) => (raw === null ? null : inner.decode(raw)),
    encode: (value, raw) =>
      value === null || value === undefined ? null : inner.encode(value, raw),
  }
}

/** A transform changes values freely; only the side that is a real schema knows the wire type. */
function pipeType(input: PyType, output: PyType, def: z.core.$ZodPipeDef): PyType {
  const isTransform = (schema: Schema) => (schema as z.core.$ZodTypes)._zod.def.type === 'transform'
  if (isTransform(def.in)) return output
  return { decode: input.decode, encode: isTransform(def.out) ? fromPlain : output.encode }
}

function lazyType(get: () => PyType): PyType {
  let known: PyType | undefined
  const type = () => {
    known ??= get()
    return known
  }
  return {
    decode: (raw) => type().decode(raw),
    encode: (value, raw) => type().encode(value, raw),
  }
}

function unionType(options: readonly { option: Schema; type: PyType }[]): PyType {
  const fits = (option: Schema, value: unknown): boolean => {
    const result = option._zod.run({ value, issues: [] }, { async: false })
    return !(result instanceof Promise) && result.issues.length === 0
  }
  return {
    decode: (raw) => {
      for (const { option, type } of options) {
        const value = type.decode(raw)
        if (fits(option, value)) return value
      }
      return toPlain(raw)
    },
    encode: (value, raw) => {
      const found = options.find(({ option }) => fits(option, value))
      return (found?.type ?? ANY).encode(value, raw)
    },
  }
}
