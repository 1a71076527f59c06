/**
 * JSON of plain values in which a bigint is written out digit by digit: seeds of 64 bits, as Python
 * sends them, are not numbers to JavaScript.
 */
export function exactJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(exactJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${exactJson(item)}`).join(',')}}`
}

const DIGITS = /^-?\d{1,40}$/

/** Ordinary JSON that `unpackBigints` reads back with its bigints: `{"$int": "18446744073709551615"}`. */
export const packBigints = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? { $int: String(item) } : item,
  )

/** @throws SyntaxError for what is no JSON */
export function unpackBigints(text: string): unknown {
  return JSON.parse(text, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || !Object.hasOwn(item, '$int')) return item
    const digits = (item as { $int: unknown }).$int
    return typeof digits === 'string' && DIGITS.test(digits) ? BigInt(digits) : item
  })
}
