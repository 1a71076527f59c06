import {
  bool,
  bytes,
  type Codec,
  enumOf,
  i64,
  plainVariants,
  tuple,
  u8,
  u16,
  u64,
  u128,
  vec,
} from '../scale/codec.js'
import { type AccountId, accountId, boundedBytes, type Hash, h256 } from './frame-types.js'
import {
  blake2,
  identity,
  item,
  optional,
  palletStorage,
  type Range,
  renamed,
  twox64,
} from './storage.js'
import {
  axonInfo,
  chainIdentity,
  fixedI128,
  fixedU128Bits,
  neuronCertificate,
  prometheusInfo,
  subnetIdentity,
} from './subtensor-types.js'

const NOBODY = `0x${'00'.repeat(32)}`
const netuid = identity(u16)
const UNTYPED = { until: 393 }
const TYPED = { since: 393 }
const STATEFUL = { since: 425 }
const NEWEST = { since: 446 }

const epochConsensus = enumOf('pallet_subtensor::EpochConsensus', plainVariants('Yuma', 'Null'))

/** One value a subnet. */
const perSubnet = <V>(codec: Codec<V>, fallback: V, range: Range = {}) =>
  item<[number], V>([netuid], codec, fallback, range)
/** One list a subnet, indexed by uid. */
const perNeuron = <V>(codec: Codec<V>) => item<[number], V[]>([netuid], vec(codec), [])
const plain = <V>(codec: Codec<V>, fallback: V, range: Range = {}) =>
  item<[], V>([], codec, fallback, range)
const perHotkey = [netuid, blake2(accountId)] as const
const hotkeyIn = [blake2(accountId), netuid] as const

/** `(hash, commit epoch or block, block, unused)`: two runtimes use the second number differently. */
export type HashCommit = [Hash, bigint, bigint, bigint]
/** `(hotkey, commit block, sealed bytes, reveal round)` */
export type TimelockedCommit = [AccountId, bigint, Uint8Array, bigint]

/** What SubtensorModule keeps, with finney's names, hashers and defaults. */
export const Subtensor = palletStorage('SubtensorModule', {
  // chain-wide
  AdminFreezeWindow: plain(u16, 10, TYPED),
  TotalIssuance: plain(u64, 0n),
  TotalStake: plain(u64, 0n),
  BlockEmission: plain(u64, 1_000_000_000n),
  TaoWeight: plain(u64, 971_718_665_099_567_868n, TYPED),
  /** Was kept for each subnet under the same name. */
  TaoWeightOfSubnet: renamed('TaoWeight', perSubnet(u64, 3_320_413_933_267_719_290n, UNTYPED)),
  TotalNetworks: plain(u16, 0),
  SubnetLimit: plain(u16, 128, TYPED),
  NetworkRateLimit: plain(u64, 7200n),
  NetworkMinLockCost: plain(u64, 1_000_000_000_000n),
  NetworkLastLockCost: plain(u64, 1_000_000_000_000n),
  TxRateLimit: plain(u64, 1000n),
  TxDelegateTakeRateLimit: plain(u64, 216_000n),
  MaxDelegateTake: plain(u16, 11_796),
  MinDelegateTake: plain(u16, 0),
  StakeThreshold: plain(u64, 0n, TYPED),
  NominatorMinRequiredStake: plain(u64, 0n),
  CommitRevealWeightsVersion: plain(u16, 4, TYPED),
  MaxMechanismCount: plain(u8, 2, TYPED),

  // keys and stake
  Owner: item([blake2(accountId)], accountId, NOBODY),
  OwnedHotkeys: item([blake2(accountId)], vec(accountId), [] as AccountId[]),
  StakingHotkeys: item([blake2(accountId)], vec(accountId), [] as AccountId[]),
  Delegates: item([blake2(accountId)], u16, 11_796),
  ChildKeys: item([...hotkeyIn], vec(tuple<[bigint, AccountId]>(u64, accountId)), []),
  ParentKeys: item([...hotkeyIn], vec(tuple<[bigint, AccountId]>(u64, accountId)), []),
  TotalHotkeyAlpha: item<[AccountId, number], bigint>([...hotkeyIn], u64, 0n),
  TotalHotkeyShares: item<[AccountId, number], { bits: bigint }>(
    [...hotkeyIn],
    fixedU128Bits,
    { bits: 0n },
    TYPED,
  ),
  AlphaDividendsPerSubnet: item<[number, AccountId], bigint>([...perHotkey], u64, 0n, TYPED),
  LastHotkeyEmissionOnNetuid: item<[AccountId, number], bigint>([...hotkeyIn], u64, 0n),
  IdentitiesV2: optional([blake2(accountId)], chainIdentity, TYPED),

  // a subnet
  NetworksAdded: perSubnet(bool, false),
  NetworkRegisteredAt: perSubnet(u64, 0n),
  NetworkRegistrationAllowed: perSubnet(bool, true),
  NetworkPowRegistrationAllowed: perSubnet(bool, true),
  FirstEmissionBlockNumber: optional([netuid], u64, TYPED),
  SubnetMechanism: perSubnet(u16, 0),
  SubnetOwner: perSubnet(accountId, NOBODY),
  SubnetOwnerHotkey: perSubnet(accountId, NOBODY),
  SubnetIdentitiesV3: optional([blake2(u16)], subnetIdentity, TYPED),
  SubnetLocked: perSubnet(u64, 0n),
  SubnetTAO: perSubnet(u64, 0n),
  SubnetAlphaIn: perSubnet(u64, 0n),
  SubnetAlphaOut: perSubnet(u64, 0n),
  SubnetAlphaInEmission: perSubnet(u64, 0n, TYPED),
  SubnetAlphaOutEmission: perSubnet(u64, 0n, TYPED),
  SubnetTaoInEmission: perSubnet(u64, 0n, TYPED),
  SubnetVolume: perSubnet(u128, 0n, TYPED),
  SubnetTaoFlow: perSubnet(i64, 0n, TYPED),
  SubnetMovingPrice: perSubnet(fixedI128, { bits: 0n }, TYPED),
  TokenSymbol: perSubnet(bytes, Buffer.from('𝜏') as Uint8Array),
  SubtokenEnabled: perSubnet(bool, false, TYPED),
  TransferToggle: perSubnet(bool, true, TYPED),
  BlocksSinceLastStep: perSubnet(u64, 0n),
  LastMechansimStepBlock: perSubnet(u64, 0n),
  PendingServerEmission: perSubnet(u64, 0n, TYPED),
  PendingValidatorEmission: perSubnet(u64, 0n, TYPED),
  LastEpochBlock: perSubnet(u64, 0n, STATEFUL),
  PendingEpochAt: perSubnet(u64, 0n, STATEFUL),
  SubnetEpochIndex: perSubnet(u64, 0n, STATEFUL),
  SubnetEpochConsensus: perSubnet(epochConsensus, { name: 'Yuma', values: [] }, NEWEST),
  CollateralLockShare: perSubnet(u16, 0, NEWEST),
  MechanismCountCurrent: item([twox64(u16)], u8, 1, TYPED),

  // hyperparameters
  Tempo: perSubnet(u16, 360),
  Rho: perSubnet(u16, 10),
  Kappa: perSubnet(u16, 32_767),
  ActivityCutoff: perSubnet(u16, 5000),
  AdjustmentAlpha: perSubnet(u64, 0n),
  AdjustmentInterval: perSubnet(u16, 100),
  AlphaValues: perSubnet(tuple<[number, number]>(u16, u16), [45_875, 58_982] as [number, number]),
  BondsMovingAverage: perSubnet(u64, 900_000n),
  BondsPenalty: perSubnet(u16, 65_535, TYPED),
  BondsResetOn: perSubnet(bool, false, TYPED),
  Burn: perSubnet(u64, 100_000_000n),
  CommitRevealWeightsEnabled: perSubnet(bool, true),
  Difficulty: perSubnet(u64, 10_000_000n),
  ImmunityPeriod: perSubnet(u16, 4096),
  LiquidAlphaOn: item([blake2(u16)], bool, false),
  MaxAllowedUids: perSubnet(u16, 256),
  MaxAllowedValidators: perSubnet(u16, 128),
  MaxBurn: perSubnet(u64, 100_000_000_000n),
  MaxDifficulty: perSubnet(u64, 4_611_686_018_427_387_903n),
  MaxRegistrationsPerBlock: perSubnet(u16, 1),
  MaxWeightsLimit: perSubnet(u16, 65_535),
  MinAllowedWeights: perSubnet(u16, 1024),
  MinBurn: perSubnet(u64, 500_000n),
  MinDifficulty: perSubnet(u64, 10_000_000n),
  RegistrationsThisBlock: perSubnet(u16, 0),
  RegistrationsThisInterval: perSubnet(u16, 0),
  RAORecycledForRegistration: perSubnet(u64, 0n),
  RevealPeriodEpochs: item([twox64(u16)], u64, 1n),
  ServingRateLimit: perSubnet(u64, 50n),
  TargetRegistrationsPerInterval: perSubnet(u16, 2),
  WeightsSetRateLimit: perSubnet(u64, 100n),
  WeightsVersionKey: perSubnet(u64, 0n),
  Yuma3On: item([blake2(u16)], bool, false, TYPED),

  // neurons
  SubnetworkN: perSubnet(u16, 0),
  Keys: item<[number, number], AccountId>([netuid, identity(u16)], accountId, NOBODY),
  Uids: optional<[number, AccountId], number>([...perHotkey], u16),
  IsNetworkMember: item<[AccountId, number], boolean>([...hotkeyIn], bool, false),
  Axons: optional([...perHotkey], axonInfo),
  NeuronCertificates: optional([...perHotkey], neuronCertificate),
  Prometheus: optional([...perHotkey], prometheusInfo),
  BlockAtRegistration: item<[number, number], bigint>([netuid, identity(u16)], u64, 0n),
  Active: perNeuron(bool),
  ValidatorPermit: perNeuron(bool),
  LastUpdate: perNeuron(u64),
  Emission: perNeuron(u64),
  Rank: perNeuron(u16),
  Trust: perNeuron(u16),
  Consensus: perNeuron(u16),
  Incentive: perNeuron(u16),
  Dividends: perNeuron(u16),
  ValidatorTrust: perNeuron(u16),
  PruningScores: perNeuron(u16),
  StakeWeight: perNeuron(u16),

  // weights, by mechanism index (mechanism * 4096 + netuid)
  Weights: item<[number, number], [number, number][]>(
    [netuid, identity(u16)],
    vec(tuple<[number, number]>(u16, u16)),
    [],
  ),
  Bonds: item<[number, number], [number, number][]>(
    [netuid, identity(u16)],
    vec(tuple<[number, number]>(u16, u16)),
    [],
  ),
  WeightCommits: optional<[number, AccountId], HashCommit[]>(
    [twox64(u16), twox64(accountId)],
    vec(tuple<HashCommit>(h256, u64, u64, u64)),
  ),
  TimelockedWeightCommits: item<[number, bigint], TimelockedCommit[]>(
    [twox64(u16), twox64(u64)],
    vec(tuple<TimelockedCommit>(accountId, u64, boundedBytes, u64)),
    [],
    TYPED,
  ),
})
