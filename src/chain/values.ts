import { z } from 'zod'
import { toBlockNumber, toRao, toUid } from '../protocol/units.js'

/*
 * Chain values as polkadot's toJSON gives them: integers above 2^53 are hex strings, bytes are hex,
 * optional values are null.
 */
const hexNumber = z.string().regex(/^0x[0-9a-f]*$/i)

/** Any unsigned integer. */
export const bigUint = z
  .union([z.number().int().nonnegative(), hexNumber])
  .transform((value) => (value === '0x' ? 0n : BigInt(value)))

/** An unsigned integer that fits a JavaScript number. */
export const uint = bigUint.transform((value, context) => {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  context.addIssue({ code: 'custom', message: `${value} is too large for a number` })
  return z.NEVER
})

export const rao = bigUint.transform(toRao)
export const block = uint.transform(toBlockNumber)
export const uid = uint.pipe(z.number().max(65_535)).transform(toUid)
export const address = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{46,50}$/)
/** Fixed-point share, u16: 65535 is 1. */
export const share = uint.transform((value) => value / 65_535)

export const bytes = hexNumber.transform((hex) => Uint8Array.from(Buffer.from(hex.slice(2), 'hex')))

/** A list in which what is missing reads as `fallback`: vectors of a subnet may lag behind its size. */
export function atOr<T>(list: readonly T[] | undefined, index: number, fallback: T): T {
  return list?.[index] ?? fallback
}
