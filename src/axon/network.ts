import ipaddr from 'ipaddr.js'

const NETWORK_GROUPS = 4

/**
 * Whom an address is counted as: itself, or over IPv6 its /64, which is the least that one
 * subscriber gets. Counted one by one, a single line has addresses without end.
 *
 * @param address as sockets give it; IPv4 inside IPv6 counts as IPv4
 */
export function networkOf(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address
  const parsed = ipaddr.IPv6.parse(address)
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((part) => part.toString(16))
  return `${groups.join(':')}::/64`
}
