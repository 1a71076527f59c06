import { compactFromU8a, hexToU8a, u8aToHex } from '@polkadot/util'
import { z } from 'zod'
import { ChainError } from './errors.js'
import type { RequestOptions, Transport } from './socket.js'

/** Metadata versions understood, best first: from 15 on they hold the types of runtime APIs. */
const VERSIONS = [16, 15] as const

const hex = z.string().regex(/^0x([0-9a-f]{2})*$/i)
const hash = z.string().regex(/^0x[0-9a-f]{64}$/i)
const version = z.looseObject({ specVersion: z.number().int() })

/** Metadata by genesis and runtime version, so that another endpoint of one network need not send it again. */
export type MetadataCache = Map<string, `0x${string}`>

/**
 * The metadata of the runtime a node has now, under the key by which polkadot looks for it.
 *
 * polkadot would fetch it too, but takes a slow answer for an absent one and goes on with version 14,
 * without the runtime APIs. Here only a node that says it has no newer one gives that.
 *
 * @throws ChainError
 */
export async function fetchMetadata(
  transport: Transport,
  cache: MetadataCache,
  options: RequestOptions = {},
): Promise<Record<string, `0x${string}`>> {
  const [genesis, runtime] = await Promise.all([
    transport.request('chain_getBlockHash', [0], options),
    transport.request('state_getRuntimeVersion', [], options),
  ])
  const key = `${check(hash, genesis, 'the genesis hash')}-${check(version, runtime, 'the runtime version').specVersion}`
  const cached = cache.get(key)
  if (cached !== undefined) return { [key]: cached }
  const metadata =
    (await newestMetadata(transport, options)) ?? (await oldMetadata(transport, options))
  cache.set(key, metadata)
  return { [key]: metadata }
}

async function newestMetadata(
  transport: Transport,
  options: RequestOptions,
): Promise<`0x${string}` | undefined> {
  for (const wanted of VERSIONS) {
    const argument = u8aToHex(Uint8Array.of(wanted, 0, 0, 0))
    let answer: unknown
    try {
      const params = ['Metadata_metadata_at_version', argument]
      answer = await transport.request('state_call', params, options)
    } catch (error) {
      if (error instanceof ChainError && error.code === 'CHAIN_RPC_FAILED') return undefined
      throw error
    }
    const bytes = hexToU8a(check(hex, answer, 'the metadata'))
    // Option<OpaqueMetadata>: a byte that says whether it is there, then its length, then the metadata.
    if (bytes[0] !== 1) continue
    const [offset, length] = compactFromU8a(bytes.subarray(1))
    const start = 1 + offset
    return u8aToHex(bytes.subarray(start, start + length.toNumber()))
  }
  return undefined
}

async function oldMetadata(transport: Transport, options: RequestOptions): Promise<`0x${string}`> {
  const answer = await transport.request('state_getMetadata', [], options)
  return u8aToHex(hexToU8a(check(hex, answer, 'the metadata')))
}

function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ChainError(
    { code: 'CHAIN_MALFORMED', what },
    `${what} as the node sent it has another shape than expected`,
  )
}
