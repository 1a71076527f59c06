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
  'https://ifconfig.me/ip',
] as const

const TIMEOUT_MS = 5_000
const MAX_BYTES = 256
/** One service alone could send the subnet's traffic anywhere. */
const MUST_AGREE = 2

export interface DiscoverOptions {
  readonly services?: readonly string[]
  readonly fetcher?: GuardedFetcher
  readonly signal?: AbortSignal
}

/**
 * This machine's public address: what two services agree on. For an axon whose address is not set:
 * behind NAT nothing local knows it.
 *
 * @throws ChainError CHAIN_ADDRESS_UNKNOWN when no two answer with the same public address
 */
export async function discoverPublicIp(options: DiscoverOptions = {}): Promise<string> {
  const { services = PUBLIC_IP_SERVICES, fetcher = new GuardedFetcher(), signal } = options
  const answers = await Promise.all(
    services.map((service) =>
      ask(service, fetcher, signal).catch((error: unknown) => ({ failed: describeError(error) })),
    ),
  )
  signal?.throwIfAborted()
  const seen = answers.filter((answer) => typeof answer === 'string')
  const agreed = seen.find(
    (ip, i) => seen.slice(0, i + 1).filter((o) => o === ip).length >= MUST_AGREE,
  )
  if (agreed !== undefined) return agreed
  const told = answers.map((answer, i) => {
    const what = typeof answer === 'string' ? answer : answer.failed
    return `${services[i]}: ${what}`
  })
  throw new ChainError(
    { code: 'CHAIN_ADDRESS_UNKNOWN', tried: services },
    `the public address could not be discovered; set --axon.external_ip (${told.join('; ')})`,
  )
}

async function ask(
  service: string,
  fetcher: GuardedFetcher,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { status, body } = await fetcher.fetch(service, {
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    minBytesPerSecond: 0,
    ...(signal === undefined ? {} : { signal }),
  })
  const answer = (await text(body)).trim()
  const isPublic = ipaddr.isValid(answer) && ipaddr.parse(answer).range() === 'unicast'
  if (status === 200 && isPublic) return answer
  throw new Error(`answered ${status} without a public address`)
}
