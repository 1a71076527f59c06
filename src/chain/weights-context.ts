import { blake2b } from '@noble/hashes/blake2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { z } from 'zod'
import type { Netuid } from '../protocol/units.js'
import { type Connection, parse } from './connection.js'
import { type EpochSchedule, epochIndex, mechanismIndex } from './epoch.js'
import {
  readHyperparameters,
  readSchedule,
  readStanding,
  type Standing,
} from './hyperparameters.js'
import { FINNEY_GENESIS, TEST_GENESIS } from './networks.js'
import type { RequestOptions } from './socket.js'
import { QUICKNET_PUBLIC_KEY } from './timelock.js'
import type { Head, Hyperparameters, WeightsMethod } from './types.js'
import { bytes, uint } from './values.js'

const PALLET = 'SubtensorModule'

/** Everything that decides how weights go on chain, read at one block. */
export interface WeightsContext {
  readonly head: Head
  readonly blockTimeMs: number
  readonly hyperparameters: Hyperparameters
  readonly schedule: EpochSchedule
  readonly epoch: number
  readonly standing: Standing
  readonly method: WeightsMethod
  /** Newest drand round the chain holds. */
  readonly lastRound: number
  /** Key that timelocked commits are sealed to. */
  readonly beaconKey: string
  /** Hashes of this hotkey's commits on chain, with their blocks. */
  readonly commits: readonly StoredCommit[]
}

export interface StoredCommit {
  /** 0x hex: of the sealed bytes, or the salted hash itself. */
  readonly hash: string
  readonly block: number
}

export async function readWeightsContext(
  connection: Connection,
  netuid: Netuid,
  mechanism: number,
  hotkey: string,
  at: Head,
  options: RequestOptions,
): Promise<WeightsContext> {
  const runtime = await connection.currentRuntime()
  const [hyperparameters, schedule, standing, drand] = await Promise.all([
    readHyperparameters(connection, netuid, at, options),
    readSchedule(connection, netuid, at, options),
    readStanding(connection, netuid, mechanism, hotkey, at, options),
    readDrand(connection, at, options),
  ])
  const epoch = epochIndex(schedule, at.number)
  const timelocked =
    runtime.hasCall(PALLET, 'commit_timelocked_mechanism_weights') ||
    (mechanism === 0 && runtime.hasCall(PALLET, 'commit_timelocked_weights'))
  const method = !hyperparameters.commitRevealEnabled
    ? 'set'
    : timelocked
      ? 'timelocked'
      : 'commit-reveal'
  const commits =
    method === 'set'
      ? []
      : await readCommits(connection, netuid, mechanism, hotkey, epoch, at, options)
  return {
    head: at,
    blockTimeMs: connection.blockTimeMs,
    hyperparameters,
    schedule,
    epoch,
    standing,
    method,
    commits,
    ...drand,
  }
}

const drandValues = z.object({
  lastRound: uint.optional(),
  beacon: z.looseObject({ publicKey: bytes }).nullish(),
})

async function readDrand(connection: Connection, at: Head, options: RequestOptions) {
  const read = await connection.read(
    at.hash,
    { lastRound: ['Drand', 'LastStoredRound'], beacon: ['Drand', 'BeaconConfig'] },
    options,
  )
  const parsed = parse(drandValues, read, 'the drand beacon')
  // On a public network the key is known. Taking it from the node there would let the node name its own
  // and read weights before their time; a local network may run its own rounds.
  const isPublic = [FINNEY_GENESIS, TEST_GENESIS].includes(connection.genesisHash)
  const stored = parsed.beacon?.publicKey
  return {
    lastRound: parsed.lastRound ?? 0,
    beaconKey: isPublic || stored === undefined ? QUICKNET_PUBLIC_KEY : bytesToHex(stored),
  }
}

const timelockedCommits = z.array(z.array(z.unknown())).optional()
const saltedCommits = z.array(z.tuple([z.string(), uint], z.unknown())).nullish()

/** The hotkey's commits on chain, of the epochs around `epoch`. */
export async function readCommits(
  connection: Connection,
  netuid: Netuid,
  mechanism: number,
  hotkey: string,
  epoch: number,
  at: Head,
  options: RequestOptions,
): Promise<StoredCommit[]> {
  const index = mechanismIndex(netuid, mechanism)
  const epochs = [epoch - 1, epoch, epoch + 1].filter((value) => value >= 0)
  // The same list under the names it has had; a runtime has one of them in use.
  const maps = ['TimelockedWeightCommits', 'CRV3WeightCommitsV2', 'CRV3WeightCommits']
  const wanted = Object.fromEntries(
    maps.flatMap((map) => epochs.map((e) => [`${map}${e}`, [PALLET, map, index, e] as const])),
  )
  const read = await connection.read(
    at.hash,
    { ...wanted, salted: [PALLET, 'WeightCommits', index, hotkey] },
    options,
  )
  const commits: StoredCommit[] = []
  for (const [name, value] of Object.entries(read)) {
    if (name === 'salted') continue
    for (const fields of parse(timelockedCommits, value, name) ?? []) {
      const commit = timelockedCommit(fields, hotkey)
      if (commit !== undefined) commits.push(commit)
    }
  }
  for (const [hash, block] of parse(saltedCommits, read['salted'], 'the commits') ?? []) {
    commits.push({ hash, block })
  }
  return commits
}

/** (account, block, bytes, round), or the older (account, bytes, round). */
function timelockedCommit(fields: readonly unknown[], hotkey: string): StoredCommit | undefined {
  if (fields[0] !== hotkey) return undefined
  const sealed = fields.find((field) => typeof field === 'string' && field.startsWith('0x'))
  if (typeof sealed !== 'string') return undefined
  const block = fields.length > 3 ? parse(uint, fields[1], 'a commit') : 0
  return { hash: hashBytes(parse(bytes, sealed, 'a commit')), block }
}

/** blake2b-256 as 0x hex: how commits are told apart. */
export function hashBytes(value: Uint8Array): string {
  return `0x${bytesToHex(blake2b(value, { dkLen: 32 }))}`
}
