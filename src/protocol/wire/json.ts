import { ProtocolError } from '../errors.js'
import { floatRepr, isPyList, numberRepr, PyFloat, type PyValue, unserialisable } from './python.js'

export interface ReadJsonOptions {
  /** Levels of nesting allowed. Default 100: the reader recurses, and a hostile body must not exhaust the stack. */
  readonly maxDepth?: number
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
// C0 controls; JSON allows DEL and C1.
const CONTROL = /[^\P{Cc}\x7f-\x9f]/u
/** Nothing in it has to be unescaped or looked at twice. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/
const LONE_SURROGATE = /\p{Cs}/u
/** Python refuses longer ints too; without a limit their conversion is quadratic. */
const MAX_INT_DIGITS = 4300
/** Bare words Python writes for floats that JSON lacks. */
const CONSTANTS: readonly (readonly [string, PyValue])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

/**
 * Reads JSON without losing what JSON.parse loses: ints beyond 2^53 become `bigint`, `1.0` a PyFloat,
 * objects a Map in the order of the text. Of duplicate keys the last wins, as in Python.
 * @throws ProtocolError PROTOCOL_JSON_INVALID
 */
export function readJson(text: string, options: ReadJsonOptions = {}): PyValue {
  const reader = new Reader(text, options.maxDepth ?? 100)
  return reader.document()
}

class Reader {
  readonly #text: string
  readonly #maxDepth: number
  /** The whole text is plain, as most are: no string in it needs a look of its own. */
  readonly #plain: boolean
  #at = 0
  #depth = 0

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
    this.#plain = PLAIN.test(text)
  }

  document(): PyValue {
    this.#space()
    const value = this.#value()
    this.#space()
    if (this.#at < this.#text.length) throw this.#fault('text goes on after the value')
    return value
  }

  #value(): PyValue {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x22:
        return this.#string()
      case 0x7b:
        this.#enter()
        return this.#object()
      case 0x5b:
        this.#enter()
        return this.#array()
      default:
        return this.#scalar()
    }
  }

  #enter(): void {
    this.#depth += 1
    if (this.#depth > this.#maxDepth) throw this.#fault(`nested deeper than ${this.#maxDepth}`)
    this.#at += 1
    this.#space()
  }

  #leave<T>(value: T): T {
    this.#depth -= 1
    return value
  }

  #object(): PyValue {
    const out = new Map<string, PyValue>()
    if (this.#take(0x7d)) return this.#leave(out)
    for (;;) {
      if (this.#text.charCodeAt(this.#at) !== 0x22) throw this.#fault('a key was expected')
      const key = this.#string()
      this.#space()
      if (!this.#take(0x3a)) throw this.#fault('":" was expected')
      this.#space()
      out.set(key, this.#value())
      this.#space()
      if (this.#take(0x7d)) return this.#leave(out)
      if (!this.#take(0x2c)) throw this.#fault('"," or "}" was expected')
      this.#space()
    }
  }

  #array(): PyValue {
    const out: PyValue[] = []
    if (this.#take(0x5d)) return this.#leave(out)
    for (;;) {
      out.push(this.#value())
      this.#space()
      if (this.#take(0x5d)) return this.#leave(out)
      if (!this.#take(0x2c)) throw this.#fault('"," or "]" was expected')
      this.#space()
    }
  }

  // Finds the closing quote natively, so that a clip in base64 costs no more than JSON.parse.
  #string(): string {
    const text = this.#text
    const start = this.#at + 1
    let end = text.indexOf('"', start)
    if (this.#plain && end !== -1) {
      this.#at = end + 1
      return text.slice(start, end)
    }
    while (end !== -1 && this.#isEscaped(start, end)) end = text.indexOf('"', end + 1)
    if (end === -1) throw this.#fault('a string does not end')
    const body = text.slice(start, end)
    if (PLAIN.test(body)) {
      this.#at = end + 1
      return body
    }
    if (CONTROL.test(body)) throw this.#fault('a control character stands in a string')
    const value = body.includes('\\') ? this.#unescape(body) : body
    if (LONE_SURROGATE.test(value)) throw this.#fault('half of a surrogate pair stands alone')
    this.#at = end + 1
    return value
  }

  #isEscaped(start: number, quote: number): boolean {
    let slashes = 0
    while (quote - 1 - slashes >= start && this.#text.charCodeAt(quote - 1 - slashes) === 0x5c) {
      slashes += 1
    }
    return slashes % 2 === 1
  }

  #unescape(body: string): string {
    try {
      return JSON.parse(`"${body}"`) as string
    } catch {
      throw this.#fault('a string has a bad escape')
    }
  }

  #scalar(): PyValue {
    const first = this.#text.charCodeAt(this.#at)
    if (first === 0x2d || (first >= 0x30 && first <= 0x39)) {
      NUMBER.lastIndex = this.#at
      const match = NUMBER.exec(this.#text)
      if (match !== null) {
        this.#at = NUMBER.lastIndex
        return this.#number(match[0], match[1] !== undefined || match[2] !== undefined)
      }
    }
    for (const [word, value] of CONSTANTS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    throw this.#fault('a value was expected')
  }

  #number(digits: string, isFloat: boolean): PyValue {
    const value = Number(digits)
    if (isFloat) return Number.isInteger(value) ? new PyFloat(value) : value
    if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
    if (digits.length > MAX_INT_DIGITS) {
      throw this.#fault(`an int has more than ${MAX_INT_DIGITS} digits`)
    }
    return BigInt(digits)
  }

  #space(): void {
    const code = this.#text.charCodeAt(this.#at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    this.#at = SPACE.lastIndex
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at += 1
    return true
  }

  #fault(problem: string): ProtocolError {
    return new ProtocolError(
      { code: 'PROTOCOL_JSON_INVALID', offset: this.#at, problem },
      `not valid JSON at offset ${this.#at}: ${problem}`,
    )
  }
}

/**
 * Writes a value as Python does: floats by their repr (`93.0`, `1e-07`), ints of any size, no white
 * space.
 * @throws ProtocolError PROTOCOL_VALUE_UNSERIALISABLE for NaN and infinities, which are not JSON
 */
export function writeJson(value: PyValue): string {
  if (typeof value === 'string') return quote(value)
  if (value === null) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return numberRepr(finite(value))
  if (value instanceof PyFloat) return floatRepr(finite(value.value))
  if (isPyList(value)) return `[${value.map(writeJson).join(',')}]`
  return `{${writeMembers(value)}}`
}

const QUOTABLE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** Printable ASCII of which JSON escapes nothing. */
export const isQuotable = (text: string): boolean => QUOTABLE.test(text)

/** A string as JSON. Most need no escape, and JSON.stringify takes twice as long to find that out. */
export const quote = (text: string): string =>
  isQuotable(text) ? `"${text}"` : JSON.stringify(text)

/** The inside of an object: `"a":1,"b":2`. */
export function writeMembers(dict: ReadonlyMap<string, PyValue>): string {
  let out = ''
  for (const [key, item] of dict) {
    out += `${out === '' ? '' : ','}${quote(key)}:${writeJson(item)}`
  }
  return out
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw unserialisable(floatRepr(value))
  return value
}
