import { z } from 'zod'
import { fromHex } from '../scale/bytes.js'
import { INVALID_PARAMS, RpcError } from './json-rpc.js'

/** Nodes take hex with and without 0x; so do some clients' calls. */
const withPrefix = (hex: string): string =>
  hex.startsWith('0x') ? hex.toLowerCase() : `0x${hex.toLowerCase()}`

const hex = z
  .string()
  .regex(/^(0x)?([0-9a-fA-F]{2})*$/)
  .transform(withPrefix)

const quantity = z.union([
  z.number().int().min(0),
  z
    .string()
    .regex(/^0x[0-9a-fA-F]{1,8}$/)
    .transform(Number),
])

export const text = z.string().max(200)
export const key = hex.transform((value) => value.slice(2))
export const keys = z.array(key).max(10_000)
export const data = hex.transform(fromHex)
export const hash = z
  .string()
  .regex(/^(0x)?[0-9a-fA-F]{64}$/)
  .transform(withPrefix)
  .nullish()
  .transform((value) => value ?? undefined)
export const blockNumber = quantity.nullish().transform((value) => value ?? undefined)
export const count = z.number().int().min(0).max(1000)
export const subscriptionId = z.union([z.string(), z.number()]).transform(String)

/** One positional parameter. @throws RpcError -32602 naming its position */
export function param<T>(params: readonly unknown[], index: number, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(params[index])
  if (parsed.success) return parsed.data
  throw new RpcError(
    INVALID_PARAMS,
    `Invalid params: parameter ${index}: ${parsed.error.issues[0]?.message ?? 'is not valid'}`,
  )
}
