import { z } from 'zod'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import type { Coldkey, Hotkey, Netuid, Uid } from '../protocol/units.js'
import { type BlockNumber, raoToTao, toRao } from '../protocol/units.js'
import { decodeAddress } from './address.js'
import { type Connection, parse, type StorageRequest } from './connection.js'
import { ChainError } from './errors.js'
import type { RequestOptions } from './socket.js'
import type { AxonEndpoint, Head, Metagraph, Neuron } from './types.js'
import { address, atOr, bigUint, block, rao, share, uint } from './values.js'

const axonInfo = z
  .object({ ip: bigUint, port: uint, version: uint, ipType: uint, protocol: uint })
  .transform((info): AxonEndpoint | undefined => {
    const ip = decodeAddress(info.ip, info.ipType)
    return ip === undefined || info.port === 0
      ? undefined
      : { ip, port: info.port, version: info.version, protocol: info.protocol }
  })

const whole = z.object({
  hotkeys: z.array(address),
  coldkeys: z.array(address),
  axons: z.array(axonInfo),
  active: z.array(z.boolean()),
  validatorPermit: z.array(z.boolean()),
  lastUpdate: z.array(block),
  emission: z.array(rao),
  dividends: z.array(share),
  incentives: z.array(share),
  consensus: z.array(share),
  trust: z.array(share),
  blockAtRegistration: z.array(block),
  alphaStake: z.array(rao),
  taoStake: z.array(rao),
  totalStake: z.array(rao),
})

/** Failures of the runtime API that say nothing of the storage maps. */
const UNUSABLE: ReadonlySet<string> = new Set(['CHAIN_MALFORMED', 'CHAIN_RPC_FAILED'])
const NO_BLOCK = 0 as BlockNumber
const NO_RAO = toRao(0n)
const PALLET = 'SubtensorModule'

/**
 * The subnet at one block: by the runtime's own API in one round trip where it has one with types, else
 * from the storage maps.
 *
 * @throws ChainError CHAIN_SUBNET_UNKNOWN, CHAIN_MALFORMED
 */
export async function readMetagraph(
  connection: Connection,
  netuid: Netuid,
  at: Head,
  log: Logger,
  options: RequestOptions,
): Promise<Metagraph> {
  const neurons =
    (await readByRuntimeApi(connection, netuid, at, log, options)) ??
    (await readByStorage(connection, netuid, at, options))
  return { netuid, block: at.number, blockHash: at.hash, neurons }
}

async function readByRuntimeApi(
  connection: Connection,
  netuid: Netuid,
  at: Head,
  log: Logger,
  options: RequestOptions,
): Promise<Neuron[] | undefined> {
  const api = 'SubnetInfoRuntimeApi'
  try {
    const answer = await connection.call(at.hash, api, 'get_metagraph', [netuid], options)
    if (answer === undefined) return undefined
    if (answer === null) throw unknownSubnet(netuid)
    return decodeMetagraph(answer)
  } catch (error) {
    if (!(error instanceof ChainError) || !UNUSABLE.has(error.code)) throw error
    // The API failed, or its answer is not of the shape known here; the storage maps may still be.
    log.warn(
      { event: 'metagraph.degraded', netuid, reason: describeError(error) },
      'the runtime API gave no metagraph; reading it from storage',
    )
    return undefined
  }
}

/**
 * Neurons from the JSON form of the runtime API's `Metagraph`.
 *
 * @throws ChainError CHAIN_MALFORMED
 */
export function decodeMetagraph(answer: unknown): Neuron[] {
  const all = parse(whole, answer, 'the metagraph')
  return all.hotkeys.map((hotkey, i) => ({
    uid: i as Uid,
    hotkey: hotkey as Hotkey,
    coldkey: atOr(all.coldkeys, i, hotkey) as Coldkey,
    stake: raoToTao(atOr(all.totalStake, i, NO_RAO)),
    alphaStake: raoToTao(atOr(all.alphaStake, i, NO_RAO)),
    taoStake: raoToTao(atOr(all.taoStake, i, NO_RAO)),
    active: atOr(all.active, i, false),
    validatorPermit: atOr(all.validatorPermit, i, false),
    trust: atOr(all.trust, i, 0),
    incentive: atOr(all.incentives, i, 0),
    dividends: atOr(all.dividends, i, 0),
    consensus: atOr(all.consensus, i, 0),
    emission: atOr(all.emission, i, NO_RAO),
    lastUpdate: atOr(all.lastUpdate, i, NO_BLOCK),
    registeredAt: atOr(all.blockAtRegistration, i, NO_BLOCK),
    axon: all.axons[i],
  }))
}

const vectors = z.object({
  added: z.boolean().optional(),
  size: uint,
  active: z.array(z.boolean()).optional(),
  validatorPermit: z.array(z.boolean()).optional(),
  lastUpdate: z.array(block).optional(),
  emission: z.array(rao).optional(),
  dividends: z.array(share).optional(),
  incentive: z.array(share).optional(),
  consensus: z.array(share).optional(),
  trust: z.array(share).optional(),
  taoWeight: bigUint.optional(),
})

const U64_MAX = 2 ** 64 - 1

async function readByStorage(
  connection: Connection,
  netuid: Netuid,
  at: Head,
  options: RequestOptions,
): Promise<Neuron[]> {
  const read = <K extends string>(
    wanted: StorageRequest<K>,
    required: readonly NoInfer<K>[] = [],
  ) => connection.read(at.hash, wanted, { ...options, required })
  const subnet = parse(
    vectors,
    await read(
      {
        added: [PALLET, 'NetworksAdded', netuid],
        size: [PALLET, 'SubnetworkN', netuid],
        active: [PALLET, 'Active', netuid],
        validatorPermit: [PALLET, 'ValidatorPermit', netuid],
        lastUpdate: [PALLET, 'LastUpdate', netuid],
        emission: [PALLET, 'Emission', netuid],
        dividends: [PALLET, 'Dividends', netuid],
        incentive: [PALLET, 'Incentive', netuid],
        consensus: [PALLET, 'Consensus', netuid],
        trust: [PALLET, 'Trust', netuid],
        // One for all subnets, and before that one of each.
        taoWeight: [PALLET, 'TaoWeight', netuid],
      },
      ['size'],
    ),
    'the subnet',
  )
  if (subnet.added === false) throw unknownSubnet(netuid)
  const uids = Array.from({ length: subnet.size }, (_, i) => i)
  const keys = await read({
    ...named(uids, 'hotkey', (i) => [PALLET, 'Keys', netuid, i]),
    ...named(uids, 'registered', (i) => [PALLET, 'BlockAtRegistration', netuid, i]),
  })
  const hotkeys = uids.map((i) => parse(address, keys[`hotkey${i}`], `the hotkey of uid ${i}`))
  const more = await read({
    ...named(uids, 'owner', (i) => [PALLET, 'Owner', hotkeys[i]]),
    ...named(uids, 'axon', (i) => [PALLET, 'Axons', netuid, hotkeys[i]]),
    ...named(uids, 'alpha', (i) => [PALLET, 'TotalHotkeyAlpha', hotkeys[i], netuid]),
    ...named(uids, 'root', (i) => [PALLET, 'TotalHotkeyAlpha', hotkeys[i], 0]),
    ...named(uids, 'stake', (i) => [PALLET, 'TotalHotkeyStake', hotkeys[i]]),
  })
  const taoWeight = Number(subnet.taoWeight ?? 0n) / U64_MAX
  const tao = (value: unknown) => raoToTao(parse(rao.optional(), value, 'stake') ?? NO_RAO)
  return hotkeys.map((hotkey, i): Neuron => {
    const alphaStake = tao(more[`alpha${i}`])
    // Before dynamic TAO there was one stake, in TAO; since then stake on the root counts by a weight.
    const taoStake = tao(more[`root${i}`]) * taoWeight + tao(more[`stake${i}`])
    return {
      uid: i as Uid,
      hotkey: hotkey as Hotkey,
      coldkey: parse(address, more[`owner${i}`], `the coldkey of uid ${i}`) as Coldkey,
      stake: alphaStake + taoStake,
      alphaStake,
      taoStake,
      active: atOr(subnet.active, i, false),
      validatorPermit: atOr(subnet.validatorPermit, i, false),
      trust: atOr(subnet.trust, i, 0),
      incentive: atOr(subnet.incentive, i, 0),
      dividends: atOr(subnet.dividends, i, 0),
      consensus: atOr(subnet.consensus, i, 0),
      emission: atOr(subnet.emission, i, NO_RAO),
      lastUpdate: atOr(subnet.lastUpdate, i, NO_BLOCK),
      registeredAt: parse(block.optional(), keys[`registered${i}`], 'registration') ?? NO_BLOCK,
      axon: parse(axonInfo.nullish(), more[`axon${i}`], `the axon of uid ${i}`) ?? undefined,
    }
  })
}

function named(
  uids: readonly number[],
  name: string,
  item: (uid: number) => readonly [string, string, ...unknown[]],
): StorageRequest<string> {
  return Object.fromEntries(uids.map((i) => [`${name}${i}`, item(i)]))
}

export function unknownSubnet(netuid: number): ChainError {
  return new ChainError(
    { code: 'CHAIN_SUBNET_UNKNOWN', netuid },
    `subnet ${netuid} does not exist on this network; check the netuid and the network`,
  )
}

/** What changed between two syncs of one subnet. */
export type MetagraphChange =
  | { readonly kind: 'registered'; readonly uid: Uid; readonly hotkey: Hotkey }
  /** The uid now belongs to another hotkey: what is known of the old one does not carry over. */
  | {
      readonly kind: 'replaced'
      readonly uid: Uid
      readonly from: Hotkey
      readonly hotkey: Hotkey
    }
  | { readonly kind: 'removed'; readonly uid: Uid; readonly hotkey: Hotkey }
  | {
      readonly kind: 'axon-moved'
      readonly uid: Uid
      readonly hotkey: Hotkey
      readonly from: AxonEndpoint | undefined
      readonly to: AxonEndpoint | undefined
    }
  | {
      readonly kind: 'permit-changed'
      readonly uid: Uid
      readonly hotkey: Hotkey
      readonly validatorPermit: boolean
    }

/**
 * Changes from one sync to the next, in the order of uids. A hotkey that registered anew at its old uid
 * counts as replaced: its history ended.
 */
export function diffMetagraphs(before: Metagraph, after: Metagraph): MetagraphChange[] {
  const changes: MetagraphChange[] = []
  for (const neuron of after.neurons) {
    const { uid, hotkey } = neuron
    const old = before.neurons[uid]
    if (old === undefined) {
      changes.push({ kind: 'registered', uid, hotkey })
      continue
    }
    if (old.hotkey !== hotkey || old.registeredAt !== neuron.registeredAt) {
      changes.push({ kind: 'replaced', uid, from: old.hotkey, hotkey })
      continue
    }
    if (!sameAxon(old.axon, neuron.axon)) {
      changes.push({ kind: 'axon-moved', uid, hotkey, from: old.axon, to: neuron.axon })
    }
    if (old.validatorPermit !== neuron.validatorPermit) {
      const { validatorPermit } = neuron
      changes.push({ kind: 'permit-changed', uid, hotkey, validatorPermit })
    }
  }
  for (const { uid, hotkey } of before.neurons.slice(after.neurons.length)) {
    changes.push({ kind: 'removed', uid, hotkey })
  }
  return changes
}

function sameAxon(a: AxonEndpoint | undefined, b: AxonEndpoint | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.ip === b.ip && a.port === b.port && a.version === b.version && a.protocol === b.protocol
}
