import ipaddr from 'ipaddr.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import { MinerError } from './errors.js'

/** Public services that answer with the caller's address as text. */
const SERVICES = [
  'https://checkip.amazonaws.com',
  'https://api.ipify.org',
  'https://icanhazip.com',
  'https://ifconfig.me/ip',
] as const

/**
 * This machine's public address: what two of the services agree on, since one alone could send the
 * subnet's traffic anywhere.
 * @throws MinerError MINER_CONFIG
 */
export async function discoverExternalIp(
  fetcher: GuardedFetcher,
  signal: AbortSignal,
  services: readonly string[] = SERVICES,
): Promise<string> {
  const seen = new Map<string, number>()
  const ask = async (service: string) => {
    const response = await fetcher.fetch(service, { timeoutMs: 5_000, maxBytes: 256, signal })
    const text = Buffer.concat(await response.body.toArray())
      .toString()
      .trim()
    if (response.status === 200 && ipaddr.isValid(text)) seen.set(text, (seen.get(text) ?? 0) + 1)
  }
  await Promise.allSettled(services.map(ask))
  const agreed = [...seen].find(([, count]) => count >= 2)?.[0]
  if (agreed !== undefined) return agreed
  throw new MinerError(
    { code: 'MINER_CONFIG', setting: 'axon.external_ip' },
    'the public address could not be discovered: set axon.external_ip',
  )
}
