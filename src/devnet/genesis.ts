import { decodeAddress } from '../wallet/ss58.js'
import { signerFromUri } from '../wallet/uri.js'
import { DevnetError } from './errors.js'
import { mint } from './pallets/balances.js'
import type { Context } from './pallets/context.js'
import { associate, placeNeuron, setStake } from './pallets/neurons.js'
import type { AccountId } from './runtime/frame-types.js'
import type { StorageEntry } from './runtime/storage.js'
import { Subtensor } from './runtime/subtensor-storage.js'
import { Sudo } from './runtime/system.js'
import { toHex } from './scale/bytes.js'
import type { View } from './state/view.js'

const RAO = 1_000_000_000

/** A key by its ss58 address or as a development URI such as `//Alice`. */
export type KeyName = string

/** A neuron that is there from block 0. */
export interface GenesisNeuron {
  readonly hotkey: KeyName
  /** Owner of the hotkey; `//Alice` unless given. */
  readonly coldkey?: KeyName
  /** Alpha staked to the hotkey, in whole units; default 0. */
  readonly stake?: number
  readonly validatorPermit?: boolean
  readonly axon?: { readonly ip: string; readonly port: number }
}

/** Hyperparameters that genesis may set; what is left out has finney's default unless noted. */
export interface GenesisHyperparameters {
  readonly tempo?: number
  readonly minAllowedWeights?: number
  readonly maxWeightsLimit?: number
  readonly weightsVersion?: bigint
  readonly weightsRateLimit?: number
  readonly commitReveal?: boolean
  readonly revealPeriodEpochs?: number
  readonly immunityPeriod?: number
  readonly servingRateLimit?: number
  readonly activityCutoff?: number
  readonly maxAllowedUids?: number
  readonly maxAllowedValidators?: number
  readonly registrationAllowed?: boolean
  /** Price of a registration, in rao. */
  readonly burn?: bigint
  readonly mechanisms?: number
}

export interface GenesisSubnet {
  readonly netuid: number
  /** Owner's coldkey; `//Alice` unless given. */
  readonly owner?: KeyName
  /** Owner's hotkey, which may set weights without a permit; none unless given. */
  readonly ownerHotkey?: KeyName
  readonly hyperparameters?: GenesisHyperparameters
  readonly neurons?: readonly GenesisNeuron[]
}

export interface GenesisOptions {
  /** Free balances in whole TAO by key. */
  readonly accounts: Readonly<Record<KeyName, number>>
  readonly subnets: readonly GenesisSubnet[]
  /** Chain-wide stake a hotkey needs to set weights, in whole units. */
  readonly stakeThreshold?: number
}

export const DEV_ACCOUNTS: readonly KeyName[] = [
  '//Alice',
  '//Bob',
  '//Charlie',
  '//Dave',
  '//Eve',
  '//Ferdie',
]

/** The account id behind a key name. @throws DevnetError DEVNET_OPTION_INVALID */
function accountOf(name: KeyName): AccountId {
  try {
    const key = name.startsWith('//') ? signerFromUri(name).publicKey : decodeAddress(name)
    return toHex(key)
  } catch (cause) {
    throw new DevnetError(
      { code: 'DEVNET_OPTION_INVALID', option: name },
      `${name} is no key: give an ss58 address or a development URI such as //Alice`,
      { cause },
    )
  }
}

const toRao = (whole: number): bigint => BigInt(Math.round(whole * RAO))

/** Writes block 0. */
export function writeGenesis(context: Context, options: GenesisOptions): void {
  const { state } = context
  const known = new Map<KeyName, AccountId>()
  /** Deriving a key takes milliseconds, and many neurons share a coldkey. */
  const accountFor = (name: KeyName): AccountId => {
    const account = known.get(name) ?? accountOf(name)
    known.set(name, account)
    return account
  }
  for (const [name, tao] of Object.entries(options.accounts)) {
    mint(state, accountFor(name), toRao(tao))
  }
  state.write(Sudo.Key, [], accountFor('//Alice'))
  state.write(Subtensor.StakeThreshold, [], toRao(options.stakeThreshold ?? 0))
  state.write(Subtensor.NetworksAdded, [0], true)
  for (const subnet of options.subnets) writeSubnet(state, subnet, accountFor)
  state.write(Subtensor.TotalNetworks, [], options.subnets.length + 1)
}

type AccountFor = (name: KeyName) => AccountId

function writeSubnet(state: View, subnet: GenesisSubnet, accountFor: AccountFor): void {
  const { netuid } = subnet
  if (!Number.isInteger(netuid) || netuid < 1 || netuid > 4095) {
    throw new DevnetError(
      { code: 'DEVNET_OPTION_INVALID', option: 'subnets' },
      `netuid must be an integer in 1..4095, got ${netuid}: 0 is the root network`,
    )
  }
  state.write(Subtensor.NetworksAdded, [netuid], true)
  state.write(Subtensor.SubtokenEnabled, [netuid], true)
  state.write(Subtensor.SubnetMechanism, [netuid], 1)
  state.write(Subtensor.SubnetOwner, [netuid], accountFor(subnet.owner ?? '//Alice'))
  if (subnet.ownerHotkey !== undefined) {
    state.write(Subtensor.SubnetOwnerHotkey, [netuid], accountFor(subnet.ownerHotkey))
  }
  state.write(Subtensor.FirstEmissionBlockNumber, [netuid], 1n)
  writeHyperparameters(state, netuid, subnet.hyperparameters ?? {})
  subnet.neurons?.forEach((neuron, uid) => {
    writeNeuron(state, { netuid, uid }, neuron, accountFor)
  })
}

function writeHyperparameters(state: View, netuid: number, values: GenesisHyperparameters): void {
  const set = <V>(entry: StorageEntry<[number], V>, value: V | undefined): void => {
    if (value !== undefined) state.write(entry, [netuid], value)
  }
  const big = (value: number | undefined) => (value === undefined ? undefined : BigInt(value))
  const of = Subtensor
  set(of.Tempo, values.tempo)
  set(of.MinAllowedWeights, values.minAllowedWeights)
  set(of.MaxWeightsLimit, values.maxWeightsLimit)
  set(of.WeightsVersionKey, values.weightsVersion)
  set(of.WeightsSetRateLimit, big(values.weightsRateLimit))
  set(of.CommitRevealWeightsEnabled, values.commitReveal)
  set(of.RevealPeriodEpochs, big(values.revealPeriodEpochs))
  set(of.ImmunityPeriod, values.immunityPeriod)
  set(of.ServingRateLimit, big(values.servingRateLimit))
  set(of.ActivityCutoff, values.activityCutoff)
  set(of.MaxAllowedUids, values.maxAllowedUids)
  set(of.MaxAllowedValidators, values.maxAllowedValidators)
  set(of.NetworkRegistrationAllowed, values.registrationAllowed)
  set(of.Burn, values.burn)
  set(of.MechanismCountCurrent, values.mechanisms)
}

function writeNeuron(
  state: View,
  { netuid, uid }: { readonly netuid: number; readonly uid: number },
  neuron: GenesisNeuron,
  accountFor: AccountFor,
): void {
  const hotkey = accountFor(neuron.hotkey)
  associate(state, accountFor(neuron.coldkey ?? '//Alice'), hotkey)
  placeNeuron(state, netuid, uid, hotkey, 0)
  setStake(state, hotkey, netuid, toRao(neuron.stake ?? 0))
  if (neuron.validatorPermit === true) {
    const permits = [...state.read(Subtensor.ValidatorPermit, netuid)]
    permits[uid] = true
    state.write(Subtensor.ValidatorPermit, [netuid], permits)
  }
  if (neuron.axon !== undefined) {
    const { ip, port } = neuron.axon
    state.write(Subtensor.Axons, [netuid, hotkey], {
      block: 0n,
      version: 1,
      ip: ipNumber(ip),
      port,
      ip_type: 4,
      protocol: 4,
      placeholder1: 0,
      placeholder2: 0,
    })
  }
}

function ipNumber(ip: string): bigint {
  const octets = ip.split('.').map(Number)
  const valid = octets.length === 4 && octets.every((o) => Number.isInteger(o) && o >= 0 && o < 256)
  if (!valid) {
    throw new DevnetError(
      { code: 'DEVNET_OPTION_INVALID', option: 'axon.ip' },
      `the axon of a genesis neuron needs an IPv4 address, got ${ip}`,
    )
  }
  return octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
}
