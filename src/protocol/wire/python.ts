import { ProtocolError } from '../errors.js'

/**
 * A number that Python holds as a float although its value is integral: `1.0`, not `1`. Plain JS
 * numbers cannot say which of the two they are; where it matters (hashed `Any` fields) wrap them.
 */
export class PyFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  valueOf(): number {
    return this.value
  }

  toJSON(): number {
    return this.value
  }
}

/** A dict in insertion order. A Map, because JS objects move keys like "7" to the front. */
export type PyDict = ReadonlyMap<string, PyValue>

/**
 * A JSON value as Python sees it. An integral `number` or a `bigint` is an int, any other `number`
 * (and -0) a float.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PyFloat
  | readonly PyValue[]
  | PyDict

export const isPyDict = (value: unknown): value is PyDict => value instanceof Map
export const isPyList = (value: unknown): value is readonly PyValue[] => Array.isArray(value)

const isInt = (value: number): boolean => Number.isInteger(value) && !Object.is(value, -0)

/** Python's `repr` of a float: shortest digits, `.0` when integral, exponent below 1e-4 and from 1e16. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = '', exponent = ''] = value.toExponential().split('e')
    return `${digits}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** Python's `str` of an int or float held in a JS number. */
export function numberRepr(value: number): string {
  if (!isInt(value)) return floatRepr(value)
  return Number.isSafeInteger(value) ? String(value) : String(BigInt(value))
}

// What Python's str.isprintable refuses: the categories "other" and "separator", except the space.
const UNPRINTABLE = /[\p{C}\p{Z}\\]/u
const NAMED: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

function escapeChar(char: string): string {
  const named = NAMED[char]
  if (named !== undefined) return named
  const code = char.codePointAt(0) ?? 0
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}

/** Python's `repr` of a str. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  let body = text
  if (UNPRINTABLE.test(text)) {
    body = ''
    for (const char of text) {
      body += char !== ' ' && UNPRINTABLE.test(char) ? escapeChar(char) : char
    }
  }
  return quote + (quote === "'" ? body.replaceAll("'", "\\'") : body) + quote
}

/** Python's `repr` of a JSON value: `[None, True, 1, 1.0, 'x', {}]`. */
export function pyRepr(value: PyValue): string {
  if (typeof value === 'string') return stringRepr(value)
  if (value === null) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'number') return numberRepr(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof PyFloat) return floatRepr(value.value)
  if (isPyList(value)) return `[${value.map(pyRepr).join(', ')}]`
  const items: string[] = []
  for (const [key, item] of value) items.push(`${stringRepr(key)}: ${pyRepr(item)}`)
  return `{${items.join(', ')}}`
}

/** Python's `str` of a JSON value: as `repr`, but a str is itself. */
export const pyStr = (value: PyValue): string => (typeof value === 'string' ? value : pyRepr(value))

/** The plain JS value: floats become numbers, dicts objects. Ints beyond 2^53 stay `bigint`. */
export function toPlain(value: PyValue): unknown {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof PyFloat) return value.value
  if (isPyList(value)) return value.map(toPlain)
  const out: Record<string, unknown> = {}
  for (const [key, item] of value) setKey(out, key, toPlain(item))
  return out
}

/** Sets an own property whatever its name: a hostile `__proto__` must stay data. */
export function setKey(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  } else {
    target[key] = value
  }
}

/**
 * The Python value of a plain JS value. `raw` is what the value was read from, if it was read: where
 * both agree, `raw` tells 1 from 1.0 and gives dicts their order.
 * @throws ProtocolError PROTOCOL_VALUE_UNSERIALISABLE
 */
export function fromPlain(value: unknown, raw?: PyValue): PyValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return value
    case 'number':
      return raw instanceof PyFloat && Object.is(raw.value, value) ? raw : value
    case 'undefined':
      return null
    case 'object':
      break
    default:
      throw unserialisable(typeof value)
  }
  if (value === null) return null
  if (value instanceof PyFloat) return value
  if (Array.isArray(value)) {
    const rawList = isPyList(raw) ? raw : []
    return value.map((item, i) => fromPlain(item, rawList[i]))
  }
  const proto = Object.getPrototypeOf(value)
  if (value instanceof Map || (proto !== Object.prototype && proto !== null)) {
    throw unserialisable(value.constructor?.name ?? 'object')
  }
  const entries = new Map(Object.entries(value).filter(([, item]) => item !== undefined))
  const rawDict = isPyDict(raw) ? raw : undefined
  return inOrder(entries, rawDict, (item, key) => fromPlain(item, rawDict?.get(key)))
}

/** A dict of `entries`, in the order of `raw` when both have the same keys. */
export function inOrder(
  entries: ReadonlyMap<string, unknown>,
  raw: PyDict | undefined,
  convert: (item: unknown, key: string) => PyValue,
): PyDict {
  const same = raw !== undefined && raw.size === entries.size && allIn(raw, entries)
  const out = new Map<string, PyValue>()
  for (const key of same ? raw.keys() : entries.keys()) out.set(key, convert(entries.get(key), key))
  return out
}

function allIn(keys: PyDict, entries: ReadonlyMap<string, unknown>): boolean {
  for (const key of keys.keys()) if (!entries.has(key)) return false
  return true
}

export function unserialisable(kind: string): ProtocolError {
  return new ProtocolError(
    { code: 'PROTOCOL_VALUE_UNSERIALISABLE', kind },
    `a value of type ${kind} has no JSON form; convert it to a string, number, list or object first`,
  )
}
