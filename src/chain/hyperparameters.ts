import { z } from 'zod'
import { type Netuid, toRao } from '../protocol/units.js'
import { type Connection, parse } from './connection.js'
import { activityCutoff, type EpochSchedule, mechanismIndex } from './epoch.js'
import { unknownSubnet } from './metagraph.js'
import type { RequestOptions } from './socket.js'
import type { Head, Hyperparameters } from './types.js'
import { bigUint, rao, uint } from './values.js'

const PALLET = 'SubtensorModule'
/** Runtimes that keep no version of the timelocked commit take this one. */
const DEFAULT_COMMIT_REVEAL_VERSION = 4
const DEFAULT_ACTIVITY_CUTOFF = 5_000
/** Every runtime that this client can set weights on has these. */
const REQUIRED = [
  'tempo',
  'weightsRateLimit',
  'minAllowedWeights',
  'weightsVersion',
  'immunityPeriod',
  'servingRateLimit',
  'maxAllowedUids',
  'maxAllowedValidators',
  'burn',
] as const

const values = z.object({
  added: z.boolean().optional(),
  tempo: uint,
  weightsRateLimit: uint,
  minAllowedWeights: uint,
  maxWeightsLimit: uint.optional(),
  weightsVersion: bigUint,
  commitRevealEnabled: z.boolean().optional(),
  commitRevealVersion: uint.optional(),
  revealPeriodEpochs: uint.optional(),
  immunityPeriod: uint,
  servingRateLimit: uint,
  activityCutoff: uint.optional(),
  activityFactor: uint.optional(),
  maxAllowedUids: uint,
  maxAllowedValidators: uint,
  registrationAllowed: z.boolean().optional(),
  burn: rao,
})

/**
 * The subnet's settings at one block, in one round trip.
 *
 * @throws ChainError CHAIN_SUBNET_UNKNOWN, CHAIN_MALFORMED
 */
export async function readHyperparameters(
  connection: Connection,
  netuid: Netuid,
  at: Head,
  options: RequestOptions,
): Promise<Hyperparameters> {
  const answer = await connection.read(
    at.hash,
    {
      added: [PALLET, 'NetworksAdded', netuid],
      tempo: [PALLET, 'Tempo', netuid],
      weightsRateLimit: [PALLET, 'WeightsSetRateLimit', netuid],
      minAllowedWeights: [PALLET, 'MinAllowedWeights', netuid],
      maxWeightsLimit: [PALLET, 'MaxWeightsLimit', netuid],
      weightsVersion: [PALLET, 'WeightsVersionKey', netuid],
      commitRevealEnabled: [PALLET, 'CommitRevealWeightsEnabled', netuid],
      commitRevealVersion: [PALLET, 'CommitRevealWeightsVersion'],
      revealPeriodEpochs: [PALLET, 'RevealPeriodEpochs', netuid],
      immunityPeriod: [PALLET, 'ImmunityPeriod', netuid],
      servingRateLimit: [PALLET, 'ServingRateLimit', netuid],
      activityCutoff: [PALLET, 'ActivityCutoff', netuid],
      activityFactor: [PALLET, 'ActivityCutoffFactorMilli', netuid],
      maxAllowedUids: [PALLET, 'MaxAllowedUids', netuid],
      maxAllowedValidators: [PALLET, 'MaxAllowedValidators', netuid],
      registrationAllowed: [PALLET, 'NetworkRegistrationAllowed', netuid],
      burn: [PALLET, 'Burn', netuid],
    },
    { ...options, required: REQUIRED },
  )
  const read = parse(values, answer, 'the hyperparameters')
  if (read.added === false) throw unknownSubnet(netuid)
  return {
    tempo: read.tempo,
    weightsRateLimit: read.weightsRateLimit,
    minAllowedWeights: read.minAllowedWeights,
    maxWeightsLimit: read.maxWeightsLimit ?? 65_535,
    weightsVersion: read.weightsVersion,
    commitRevealEnabled: read.commitRevealEnabled ?? false,
    commitRevealVersion: read.commitRevealVersion ?? DEFAULT_COMMIT_REVEAL_VERSION,
    revealPeriodEpochs: read.revealPeriodEpochs ?? 1,
    immunityPeriod: read.immunityPeriod,
    servingRateLimit: read.servingRateLimit,
    activityCutoff:
      read.activityFactor === undefined
        ? (read.activityCutoff ?? DEFAULT_ACTIVITY_CUTOFF)
        : activityCutoff(read.activityFactor, read.tempo),
    maxAllowedUids: read.maxAllowedUids,
    maxAllowedValidators: read.maxAllowedValidators,
    registrationAllowed: read.registrationAllowed ?? true,
    burn: toRao(read.burn),
  }
}

const scheduleValues = z.object({
  tempo: uint,
  epochIndex: uint.optional(),
  lastEpochBlock: uint.optional(),
  pendingEpochAt: uint.optional(),
  blocksSinceLastStep: uint.optional(),
})

/** The epoch schedule at one block: stateful where the runtime keeps one, else the modulo model. */
export async function readSchedule(
  connection: Connection,
  netuid: Netuid,
  at: Head,
  options: RequestOptions,
): Promise<EpochSchedule> {
  const answer = await connection.read(
    at.hash,
    {
      tempo: [PALLET, 'Tempo', netuid],
      epochIndex: [PALLET, 'SubnetEpochIndex', netuid],
      lastEpochBlock: [PALLET, 'LastEpochBlock', netuid],
      pendingEpochAt: [PALLET, 'PendingEpochAt', netuid],
      blocksSinceLastStep: [PALLET, 'BlocksSinceLastStep', netuid],
    },
    { ...options, required: ['tempo'] },
  )
  const read = parse(scheduleValues, answer, 'the epoch schedule')
  if (read.epochIndex === undefined) return { kind: 'modulo', netuid, tempo: read.tempo }
  return {
    kind: 'stateful',
    tempo: read.tempo,
    lastEpochBlock: read.lastEpochBlock ?? 0,
    pendingEpochAt: read.pendingEpochAt ?? 0,
    epochIndex: read.epochIndex,
    blocksSinceLastStep: read.blocksSinceLastStep ?? 0,
  }
}

const standing = z.object({
  uid: uint.optional(),
  permits: z.array(z.boolean()).optional(),
  lastUpdates: z.array(uint).optional(),
  neurons: uint,
})

/** Where a hotkey stands in a subnet, as far as setting weights asks. */
export interface Standing {
  readonly uid: number | undefined
  readonly validatorPermit: boolean
  /** 0 when it never set weights; also set at registration. */
  readonly lastUpdate: number
  readonly registeredAt: number
  readonly neurons: number
}

export async function readStanding(
  connection: Connection,
  netuid: Netuid,
  mechanism: number,
  hotkey: string,
  at: Head,
  options: RequestOptions,
): Promise<Standing> {
  const answer = await connection.read(
    at.hash,
    {
      uid: [PALLET, 'Uids', netuid, hotkey],
      permits: [PALLET, 'ValidatorPermit', netuid],
      lastUpdates: [PALLET, 'LastUpdate', mechanismIndex(netuid, mechanism)],
      neurons: [PALLET, 'SubnetworkN', netuid],
    },
    { ...options, required: ['uid', 'permits', 'lastUpdates', 'neurons'] },
  )
  const read = parse(standing, answer, 'the standing of the hotkey')
  const uid = read.uid
  const registration =
    uid === undefined
      ? undefined
      : await connection.read(
          at.hash,
          { registeredAt: [PALLET, 'BlockAtRegistration', netuid, uid] },
          options,
        )
  return {
    uid,
    validatorPermit: uid !== undefined && (read.permits?.[uid] ?? false),
    lastUpdate: uid === undefined ? 0 : (read.lastUpdates?.[uid] ?? 0),
    registeredAt: parse(uint.optional(), registration?.registeredAt, 'the registration') ?? 0,
    neurons: read.neurons,
  }
}
