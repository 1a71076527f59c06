import { z } from 'zod'
import type { Logger } from '../lib/log.js'
import type { Rng } from '../lib/rng.js'
import { type BlockNumber, type Hotkey, type Netuid, toBlockNumber } from '../protocol/units.js'
import type { Signer } from '../wallet/types.js'
import { type Connection, parse } from './connection.js'
import { epochIndex, mechanismIndex, QUICKNET_PERIOD_SECONDS, revealRound } from './epoch.js'
import { readSchedule } from './hyperparameters.js'
import { hashVector, type WeightEntry, type WeightLedger } from './ledger.js'
import type { ChainMetrics } from './metrics.js'
import {
  isSendable,
  processWeights,
  processWeightsStrict,
  type QuantisedWeights,
  quantise,
  U16_MAX,
} from './quantise.js'
import { encodeCommitPreimage, encodeTimelockPayload } from './scale.js'
import type { Session } from './session.js'
import { type Order, refused, type Submitter } from './submit.js'
import { seal } from './timelock.js'
import type {
  CallOptions,
  RevealRequest,
  Submission,
  WeightsRequest,
  WeightsResult,
} from './types.js'
import { uint } from './values.js'
import {
  hashBytes,
  readCommits,
  readWeightsContext,
  type WeightsContext,
} from './weights-context.js'

const PALLET = 'SubtensorModule'
/** u16 words of salt in a salted commit, as the SDK takes. */
const SALT_WORDS = 8
/** Tries within one call for what may pass at the next block. */
const ATTEMPTS = 8
/** Blocks in which an extrinsic of a `pending` entry may still have been included. */
const ERA_BLOCKS = 64

export interface WeightSetterOptions {
  readonly session: Session
  readonly submitter: Submitter
  readonly ledger: WeightLedger
  readonly rng: Rng
  readonly log: Logger
  /** Sent unless the request says otherwise. */
  readonly versionKey: bigint
  readonly metrics?: ChainMetrics
  /** Head when this process began: weights set later by somebody else mean that the hotkey is in use. */
  readonly startedAt: () => number
}

type Refused = Submission & { outcome: 'refused' }

/** What is to be sent, with what the ledger must know of it. */
interface Plan {
  readonly entry: WeightEntry
  readonly order: Order
}

/** Sets weights in whichever way the subnet demands, and keeps the ledger of it. */
export class WeightSetter {
  readonly #o: WeightSetterOptions

  constructor(options: WeightSetterOptions) {
    this.#o = options
  }

  async set(signer: Signer, request: WeightsRequest, options: CallOptions): Promise<WeightsResult> {
    const { session, log } = this.#o
    const signal = options.signal ?? new AbortController().signal
    for (let attempt = 1; ; attempt += 1) {
      const context = await this.#context(signer, request, options)
      const { method } = context
      const plan = await this.#plan(signer, request, context, options)
      if ('outcome' in plan) return { ...plan, method }
      const result = await this.#send(signer, plan, options)
      if (result.outcome !== 'refused') {
        return { ...result, method, verified: await this.#verify(plan.entry, result, options) }
      }
      if (result.action !== 'retry' || attempt >= ATTEMPTS) return { ...result, method }
      log.warn(
        { event: 'weights.retried', netuid: request.netuid, error: result.error, attempt },
        'weights were refused and are sent again',
      )
      await session.headAt(context.head.number + 1, session.blockTimeMs, signal)
    }
  }

  /** Reveals what is due of the salted commits; oldest first. */
  async reveal(
    signer: Signer,
    request: RevealRequest,
    options: CallOptions,
  ): Promise<readonly Submission[]> {
    const { netuid } = request
    const mechanism = request.mechanism ?? 0
    const known = await this.#o.ledger.list({ hotkey: signer.address, netuid, mechanism }, 100)
    const waiting = known
      .filter((entry) => entry.method === 'commit-reveal' && isUnrevealed(entry))
      .reverse()
    if (waiting.length === 0) return []
    const { session } = this.#o
    const results: Submission[] = []
    for (const entry of waiting) {
      const { head, epoch, period, commits } = await session.read(
        'reveal: read',
        options,
        (link, signal) => readRevealState(link, netuid, mechanism, signer.address, signal),
      )
      const dueEpoch = entry.epoch + period
      if (epoch < dueEpoch) continue
      const onChain = commits.some(({ hash }) => hash === entry.commitHash)
      // Unless it was read back, the epoch is that of the block before, and the commit's may be the next.
      const lastEpoch = entry.state === 'verified' ? dueEpoch : dueEpoch + 1
      if (epoch > lastEpoch || !onChain) {
        // A pending one may still land until its era is over.
        if (!onChain && entry.state === 'pending' && head.number <= entry.block + ERA_BLOCKS)
          continue
        await this.#o.ledger.put({ ...entry, state: 'expired' })
        this.#o.log.error(
          { event: 'weights.reveal-missed', netuid, epoch: entry.epoch, onChain },
          'a commit can no longer be revealed',
        )
        continue
      }
      const result = await this.#o.submitter.submit(signer, revealOrder(entry), options)
      results.push(result)
      await this.#o.ledger.put(
        result.outcome === 'refused'
          ? { ...entry, error: result.error }
          : { ...entry, state: 'revealed' },
      )
    }
    return results
  }

  #context(
    signer: Signer,
    { netuid, mechanism = 0 }: WeightsRequest,
    options: CallOptions,
  ): Promise<WeightsContext> {
    return this.#o.session.read('weights: read', options, (link, signal) =>
      readWeightsContext(link, netuid, mechanism, signer.address, link.head, { signal }),
    )
  }

  /** What to send, or why nothing can be sent now. */
  async #plan(
    signer: Signer,
    request: WeightsRequest,
    context: WeightsContext,
    options: CallOptions,
  ): Promise<Plan | Refused> {
    const { netuid, mechanism = 0 } = request
    const known = await this.#o.ledger.list({ hotkey: signer.address, netuid, mechanism }, 50)
    await this.#reconcile(known, context)
    const { standing, hyperparameters: rules, head } = context
    if (standing.uid === undefined) return refused('HotKeyNotRegisteredInSubNet')
    if (isForeign(known, context, this.#o.startedAt())) {
      this.#o.log.error(
        { event: 'hotkey.in-use', netuid, lastUpdate: standing.lastUpdate },
        'another process sets weights with this hotkey; this one stops setting them',
      )
      return refused('HotkeyInUse', `weights of block ${standing.lastUpdate} are not ours`)
    }
    const versionKey = request.versionKey ?? this.#o.versionKey
    if (rules.weightsVersion > versionKey) {
      return refused('IncorrectWeightVersionKey', `${rules.weightsVersion}, ours ${versionKey}`)
    }
    const next = standing.lastUpdate === 0 ? 0 : standing.lastUpdate + rules.weightsRateLimit
    if (next > head.number) {
      return {
        ...refused('SettingWeightsTooFast', `allowed again from block ${next}`),
        retryAt: toBlockNumber(next),
      }
    }
    const vector = await this.#vector(request, context, known, options)
    if (vector === undefined) return refused('WeightsEmpty')
    const loneSelf = vector.uids.length === 1 && vector.uids[0] === standing.uid
    if (!standing.validatorPermit && !loneSelf) return refused('NeuronNoValidatorPermit')
    const plan = this.#encode(signer, request, context, vector, versionKey)
    await this.#o.ledger.put(plan.entry)
    return plan
  }

  /** Settles what a crash or a lost network left `pending`, by what the chain says now. */
  async #reconcile(known: readonly WeightEntry[], context: WeightsContext): Promise<void> {
    const { lastUpdate } = context.standing
    for (const entry of known.filter(({ state }) => state === 'pending')) {
      const landed =
        entry.commitHash === undefined
          ? lastUpdate > entry.block && lastUpdate <= entry.block + ERA_BLOCKS
          : context.commits.some(({ hash }) => hash === entry.commitHash)
      if (landed) {
        await this.#o.ledger.put({ ...entry, state: 'included', includedAt: lastUpdate })
      } else if (context.head.number > entry.block + ERA_BLOCKS && entry.salt === undefined) {
        await this.#o.ledger.put({ ...entry, state: 'refused', error: 'TransactionExpired' })
      }
    }
  }

  /** The vector to send: the one given or, when nothing in it is positive, the last good one. */
  async #vector(
    request: WeightsRequest,
    context: WeightsContext,
    known: readonly WeightEntry[],
    options: CallOptions,
  ): Promise<QuantisedWeights | undefined> {
    const { hyperparameters: rules, standing } = context
    const limits = {
      neurons: standing.neurons,
      // The runtime asks for no more weights than there are neurons.
      minAllowedWeights: Math.min(rules.minAllowedWeights, standing.neurons),
      maxShare: rules.maxWeightsLimit / U16_MAX,
      ...(standing.uid === undefined
        ? {}
        : { selfUid: standing.uid as QuantisedWeights['uids'][0] }),
    }
    if (isSendable(request.weights)) {
      return quantise(
        request.sdk === 11
          ? processWeightsStrict(request, limits)
          : processWeights(request, limits),
      )
    }
    this.#o.metrics?.weightsSkipped.inc()
    const last = await this.#lastGood(request.netuid, context, known, options)
    this.#o.log.error(
      { event: 'weights.replaced', netuid: request.netuid, withBlock: last?.block },
      last === undefined
        ? 'no weight is positive and there is no earlier vector: nothing is sent'
        : 'no weight is positive: the last good vector is sent again',
    )
    if (last === undefined) return undefined
    return quantise(processWeights({ uids: last.uids, weights: last.values }, limits))
  }

  /** The newest vector that was accepted, without the uids that have been given to others since. */
  async #lastGood(
    netuid: Netuid,
    context: WeightsContext,
    known: readonly WeightEntry[],
    options: CallOptions,
  ) {
    const entry = known.find(({ state }) => ['included', 'verified', 'revealed'].includes(state))
    if (entry === undefined) return undefined
    const read = await this.#o.session.read('weights: registrations', options, (link, signal) =>
      link.read(
        context.head.hash,
        Object.fromEntries(
          entry.uids.map((uid) => [uid, [PALLET, 'BlockAtRegistration', netuid, uid] as const]),
        ),
        { signal },
      ),
    )
    const kept = entry.uids
      .map((uid, i) => ({ uid, value: entry.values[i] ?? 0 }))
      .filter(({ uid }) => {
        const registered = parse(uint.optional(), read[uid], 'a registration') ?? 0
        return uid < context.standing.neurons && registered <= entry.block
      })
    if (kept.length === 0) return undefined
    return {
      block: entry.block,
      uids: kept.map(({ uid }) => uid as QuantisedWeights['uids'][0]),
      values: kept.map(({ value }) => value),
    }
  }

  #encode(
    signer: Signer,
    { netuid, mechanism = 0 }: WeightsRequest,
    context: WeightsContext,
    { uids, values }: QuantisedWeights,
    versionKey: bigint,
  ): Plan {
    const { method, head, epoch } = context
    const base: WeightEntry = {
      id: `${signer.address}/${netuid}/${mechanism}/${head.number}`,
      hotkey: signer.address,
      netuid,
      mechanism,
      epoch,
      method,
      block: head.number,
      uids,
      values,
      versionKey: versionKey.toString(),
      vectorHash: hashVector(uids, values),
      state: 'pending',
    }
    const target = { netuid, mecid: mechanism }
    switch (method) {
      case 'set': {
        const args = { ...target, dests: uids, weights: values, version_key: base.versionKey }
        return { entry: base, order: mechanismOrder('weights', 'set', mechanism, args) }
      }
      case 'commit-reveal': {
        const salt = this.#salt()
        const index = mechanismIndex(netuid, mechanism)
        const commitHash = hashBytes(
          encodeCommitPreimage(signer.publicKey, index, uids, values, salt, versionKey),
        )
        const args = { ...target, commit_hash: commitHash }
        return {
          entry: { ...base, salt, commitHash },
          order: mechanismOrder('weights', 'commit', mechanism, args),
        }
      }
      case 'timelocked': {
        const round = this.#revealRound(context)
        const payload = encodeTimelockPayload(signer.publicKey, uids, values, versionKey)
        const commit = seal(payload, round, this.#o.rng, context.beaconKey)
        const args = {
          ...target,
          commit: `0x${Buffer.from(commit).toString('hex')}`,
          reveal_round: round,
          commit_reveal_version: context.hyperparameters.commitRevealVersion,
        }
        return {
          entry: { ...base, commitHash: hashBytes(commit), revealRound: round },
          order: mechanismOrder('weights', 'commit_timelocked', mechanism, args),
        }
      }
    }
  }

  #salt(): number[] {
    const words = this.#o.rng.bytes(SALT_WORDS * 2)
    return Array.from({ length: SALT_WORDS }, (_, i) => {
      return ((words[2 * i] ?? 0) << 8) | (words[2 * i + 1] ?? 0)
    })
  }

  #revealRound({
    schedule,
    head,
    hyperparameters,
    blockTimeMs,
    lastRound,
  }: WeightsContext): number {
    const round = revealRound(
      schedule,
      head.number,
      hyperparameters.revealPeriodEpochs,
      blockTimeMs / 1000,
      Math.floor(this.#o.session.clock.now() / 1000),
    )
    // A round that the chain holds already would be refused (InvalidRevealRound) and readable at once:
    // with fast blocks, or a clock behind, take the first one that this block cannot have seen.
    const unseen = lastRound + 1 + Math.ceil(blockTimeMs / 1000 / QUICKNET_PERIOD_SECONDS)
    return lastRound > 0 ? Math.max(round, unseen) : round
  }

  async #send(signer: Signer, plan: Plan, options: CallOptions): Promise<Submission> {
    const result = await this.#o.submitter.submit(signer, plan.order, options)
    if (result.outcome === 'refused') {
      await this.#o.ledger.put({ ...plan.entry, state: 'refused', error: result.error })
    } else if (result.outcome === 'included') {
      await this.#o.ledger.put({
        ...plan.entry,
        state: 'included',
        extrinsicHash: result.extrinsicHash,
        includedAt: result.block,
      })
    }
    return result
  }

  /** Reads back what the included extrinsic should have left on chain. */
  async #verify(entry: WeightEntry, result: Submission, options: CallOptions): Promise<boolean> {
    if (result.outcome !== 'included') return false
    const { session, ledger, log } = this.#o
    const { found, epoch } = await session.read('weights: read back', options, (link, signal) =>
      readBack(link, entry, result.block, signal),
    )
    await ledger.put({
      ...entry,
      epoch,
      state: found ? 'verified' : 'included',
      extrinsicHash: result.extrinsicHash,
      includedAt: result.block,
    })
    if (found) {
      log.info(
        { event: 'weights.set', netuid: entry.netuid, method: entry.method, block: result.block },
        'weights are on chain',
      )
    } else {
      log.error(
        { event: 'weights.unverified', netuid: entry.netuid, block: result.block },
        'the extrinsic succeeded but its weights were not found on chain',
      )
    }
    return found
  }
}

const isUnrevealed = (entry: WeightEntry) =>
  entry.salt !== undefined && ['pending', 'included', 'verified'].includes(entry.state)

/** Whether the chain holds weights or commits of this hotkey, newer than this process, that it did not send. */
function isForeign(
  known: readonly WeightEntry[],
  { standing, commits, method }: WeightsContext,
  startedAt: number,
): boolean {
  if (method === 'set') {
    const { lastUpdate, registeredAt } = standing
    if (lastUpdate <= startedAt || lastUpdate === registeredAt) return false
    return !known.some(({ block }) => block < lastUpdate && lastUpdate <= block + ERA_BLOCKS)
  }
  const ours = new Set(known.map(({ commitHash }) => commitHash))
  return commits.some(({ hash, block }) => block > startedAt && !ours.has(hash))
}

/** `set_mechanism_weights` where the runtime has mechanisms, else `set_weights`; alike for commits. */
function mechanismOrder(
  kind: Order['kind'],
  verb: string,
  mechanism: number,
  args: Readonly<Record<string, unknown>>,
): Order {
  return {
    kind,
    build: async (link: Connection) => {
      const runtime = await link.currentRuntime()
      const withMechanism = `${verb}_mechanism_weights`
      if (runtime.hasCall(PALLET, withMechanism)) {
        return { pallet: PALLET, call: withMechanism, args }
      }
      if (mechanism !== 0) throw runtime.lacks(`the call ${PALLET}.${withMechanism}`)
      return { pallet: PALLET, call: `${verb}_weights`, args }
    },
  }
}

function revealOrder(entry: WeightEntry): Order {
  return mechanismOrder('reveal', 'reveal', entry.mechanism, {
    netuid: entry.netuid,
    mecid: entry.mechanism,
    uids: entry.uids,
    values: entry.values,
    salt: entry.salt,
    version_key: entry.versionKey,
  })
}

const row = z.array(z.tuple([uint, uint]))

async function readBack(
  link: Connection,
  entry: WeightEntry,
  block: BlockNumber,
  signal: AbortSignal,
): Promise<{ found: boolean; epoch: number }> {
  const hash = await link.blockHash(block, { signal })
  if (hash === undefined) return { found: false, epoch: entry.epoch }
  const at = { number: block, hash }
  const { netuid, mechanism, hotkey } = entry
  const schedule = await readSchedule(link, netuid, at, { signal })
  const epoch = epochIndex(schedule, block)
  if (entry.commitHash !== undefined) {
    const commits = await readCommits(link, netuid, mechanism, hotkey, epoch, at, { signal })
    return { epoch, found: commits.some((commit) => commit.hash === entry.commitHash) }
  }
  const index = mechanismIndex(netuid, mechanism)
  const read = await link.read(hash, { uid: [PALLET, 'Uids', netuid, hotkey] }, { signal })
  const uid = parse(uint.optional(), read.uid, 'the uid')
  if (uid === undefined) return { found: false, epoch }
  const stored = await link.read(hash, { row: [PALLET, 'Weights', index, uid] }, { signal })
  const values = new Map(parse(row, stored.row, 'the weights'))
  const found =
    values.size === entry.uids.length &&
    entry.uids.every((target, i) => values.get(target) === entry.values[i])
  return { found, epoch }
}

async function readRevealState(
  link: Connection,
  netuid: Netuid,
  mechanism: number,
  hotkey: Hotkey,
  signal: AbortSignal,
) {
  const head = link.head
  const schedule = await readSchedule(link, netuid, head, { signal })
  const epoch = epochIndex(schedule, head.number)
  const [read, commits] = await Promise.all([
    link.read(head.hash, { period: [PALLET, 'RevealPeriodEpochs', netuid] }, { signal }),
    readCommits(link, netuid, mechanism, hotkey, epoch, head, { signal }),
  ])
  const period = parse(uint.optional(), read.period, 'the reveal period') ?? 1
  return { head, epoch, period, commits }
}
