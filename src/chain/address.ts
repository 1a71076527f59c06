import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { ChainError } from './errors.js'

/** An axon's address as the chain stores it. */
export interface ChainAddress {
  /** The octets, big-endian, as one unsigned integer. */
  readonly ip: bigint
  readonly ipType: 4 | 6
}

const IPV4_FORBIDDEN_FROM = 0xff_ff_ff_ffn
const IPV6_ALL_ONES = (1n << 128n) - 1n

/** @throws ChainError CHAIN_ADDRESS_REFUSED when `text` is not an IPv4 or IPv6 address */
export function encodeAddress(text: string): ChainAddress {
  if (!isIPv4(text) && !isIPv6(text)) throw refused(text, 0, 'it is not an IP address')
  const bytes = ipaddr.parse(text).toByteArray()
  return {
    ip: bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n),
    ipType: bytes.length === 4 ? 4 : 6,
  }
}

/** Text of a stored address; `undefined` for 0, which means not serving, and for what is no address. */
export function decodeAddress(ip: bigint, ipType: number): string | undefined {
  const size = ipType === 6 ? 16 : 4
  if (ip <= 0n || ip >= 1n << BigInt(size * 8)) return undefined
  const bytes = Array.from({ length: size }, (_, i) =>
    Number((ip >> BigInt(8 * (size - 1 - i))) & 0xffn),
  )
  return ipaddr.fromByteArray(bytes).toString()
}

/**
 * Checks what the runtime checks, so that a wrong setting is told apart from a refusal on chain.
 *
 * @throws ChainError CHAIN_ADDRESS_REFUSED
 */
export function checkServable(ip: string, port: number): ChainAddress {
  const address = encodeAddress(ip)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw refused(ip, port, 'the port must be 1 to 65535')
  }
  if (address.ipType === 4) {
    if (address.ip === 0x7f_00_00_01n) {
      throw refused(ip, port, 'on a local network advertise 127.0.0.2, which answers as well')
    }
    if (address.ip >= IPV4_FORBIDDEN_FROM) throw refused(ip, port, 'it is the broadcast address')
    if (address.ip === 0n) throw refused(ip, port, '0.0.0.0 means not serving')
  } else if (address.ip <= 1n || address.ip === IPV6_ALL_ONES) {
    throw refused(ip, port, 'it is the loopback or unspecified address')
  }
  return address
}

function refused(ip: string, port: number, why: string): ChainError {
  return new ChainError(
    { code: 'CHAIN_ADDRESS_REFUSED', ip, port },
    `the axon cannot be announced at ${ip} port ${port}: ${why}`,
  )
}
