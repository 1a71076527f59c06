import { text } from 'node:stream/consumers'
import ipaddr from 'ipaddr.js'
import { describeError } from '../lib/errors.js'
import { GuardedFetcher } from '../lib/http/index.js'
import { ChainError } from './errors.js'

/** Services that answer with the caller's address as plain text. */
export const PUBLIC_IP_SERVICES = [
  'https://checkip.amazonaws.com',
  'https://api.ipify.org',
  'https://icanhazip.com',
] as const

const TIMEOUT_MS = 5_000
const MAX_BYTES = 256

export interface DiscoverOptions {
  readonly services?: readonly string[]
  readonly fetcher?: GuardedFetcher
  readonly signal?: AbortSignal
}

/**
 * This machine's public address, as the first service to answer sees it. For an axon whose address is
 * not set: behind NAT nothing local knows it.
 *
 * @throws ChainError CHAIN_ADDRESS_UNKNOWN when none answers with a public address
 */
export async function discoverPublicIp(options: DiscoverOptions = {}): Promise<string> {
  const services = options.services ?? PUBLIC_IP_SERVICES
  const fetcher = options.fetcher ?? new GuardedFetcher()
  const failures: string[] = []
  for (const service of services) {
    options.signal?.throwIfAborted()
    try {
      const { status, body } = await fetcher.fetch(service, {
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
        minBytesPerSecond: 0,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
      const answer = (await text(body)).trim()
      const isPublic = ipaddr.isValid(answer) && ipaddr.parse(answer).range() === 'unicast'
      if (status === 200 && isPublic) return answer
      failures.push(`${service} answered ${status} without a public address`)
    } catch (error) {
      options.signal?.throwIfAborted()
      failures.push(`${service}: ${describeError(error)}`)
    }
  }
  throw new ChainError(
    { code: 'CHAIN_ADDRESS_UNKNOWN', tried: services },
    `the public address could not be discovered; set --axon.external_ip (${failures.join('; ')})`,
  )
}
