import ipaddr from 'ipaddr.js'
import { FetchError } from './errors.js'

/** What is wrong with an address, or `unicast`. Of IPv6 only 2000::/3 has been given to the public. */
function rangeOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'invalid'
  const parsed = ipaddr.parse(address)
  const range = parsed.range()
  const [first = 0] = parsed.toByteArray()
  return range === 'unicast' && parsed.kind() === 'ipv6' && first >> 5 !== 1 ? 'unassigned' : range
}

/**
 * Throws unless `address` is a public unicast address. IPv4 inside IPv6 (mapped, NAT64, 6to4,
 * Teredo) counts as not public whatever it wraps: no public server needs those forms.
 * @throws FetchError FETCH_ADDRESS_REFUSED
 */
export function requirePublicAddress(address: string): void {
  const range = rangeOf(address)
  if (range !== 'unicast') {
    throw new FetchError(
      { code: 'FETCH_ADDRESS_REFUSED', address, range },
      `${address} is not a public address (${range}); use a public host`,
    )
  }
}

/** The address when `hostname` (as in `URL.hostname`) is a literal, else undefined. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return ipaddr.isValid(bare) ? bare : undefined
}

/** Ports below 1024 that serve web content; every other one there is a system service. */
const LOW_PORTS = new Set([80, 443])

/**
 * Services that answer plain text lines, where a crafted HTTP request could do harm: the part above
 * 1023 of the WHATWG fetch standard's bad ports, and databases, caches and container engines.
 */
const REFUSED_PORTS = new Set([
  1719, 1720, 1723, 2049, 2375, 2376, 2379, 3306, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379,
  6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 10080, 11211, 27017,
])

const MAX_URL_LENGTH = 4096

export interface UrlRules {
  /** Plain http is allowed. */
  readonly http: boolean
  /** Loopback, private and other special addresses and any port are allowed. */
  readonly privateAddresses: boolean
}

/**
 * Parses a URL and applies the rules that need no network.
 * @throws FetchError FETCH_URL_REFUSED, FETCH_ADDRESS_REFUSED
 */
export function parseGuardedUrl(text: string, rules: UrlRules, base?: URL): URL {
  const refuse = (rule: string, message: string): never => {
    throw new FetchError({ code: 'FETCH_URL_REFUSED', rule }, message)
  }
  if (text.length > MAX_URL_LENGTH)
    refuse('length', `URL is longer than ${MAX_URL_LENGTH} characters`)
  if (!URL.canParse(text, base?.href)) refuse('syntax', 'not a URL')
  const url = new URL(text, base?.href)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && rules.http)) {
    refuse('scheme', `scheme ${url.protocol.replace(':', '')} is not allowed; use https`)
  }
  if (url.username !== '' || url.password !== '')
    refuse('userinfo', 'URL must not hold a user name or password')
  if (url.hostname === '') refuse('host', 'URL has no host')
  if (!rules.privateAddresses) {
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    if ((port < 1024 && !LOW_PORTS.has(port)) || REFUSED_PORTS.has(port)) {
      refuse(
        'port',
        `port ${port} is not allowed; use 443, 80 or a port above 1023 that is no known service`,
      )
    }
    const literal = literalAddress(url.hostname)
    if (literal !== undefined) requirePublicAddress(literal)
  }
  return url
}
