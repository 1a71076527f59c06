import { BlockList, isIP } from 'node:net'
import { MinerError } from './errors.js'

/** Whether an address is among those of a setting. @throws MinerError MINER_CONFIG */
export function blockedBy(
  setting: string,
  entries: readonly string[],
): (address: string) => boolean {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    try {
      if (bits === undefined) list.addAddress(address, family)
      else list.addSubnet(address, Number(bits), family)
    } catch (cause) {
      throw new MinerError(
        { code: 'MINER_CONFIG', setting },
        `${setting} takes addresses and networks, not ${entry}`,
        { cause },
      )
    }
  }
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
