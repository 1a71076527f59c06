import { createHash } from 'node:crypto'
import {
  type AxonEndpoint,
  type Chain,
  ChainError,
  checkServable,
  classify,
  type Head,
  type Hyperparameters,
  type Neuron,
  processWeights,
  quantise,
  SDK_WEIGHTS_VERSION,
  type Submission,
  type WeightsMethod,
  type WeightsRequest,
  type WeightsResult,
} from '#src/chain/index.js'
import {
  type BlockNumber,
  type Coldkey,
  type Hotkey,
  type Netuid,
  type Rao,
  toBlockNumber,
  toNetuid,
  toRao,
  toUid,
  type Uid,
} from '#src/protocol/units.js'

export interface MemoryNeuron {
  readonly hotkey: Hotkey
  readonly coldkey?: Coldkey
  readonly stake?: number
  readonly validatorPermit?: boolean
  readonly axon?: AxonEndpoint
}

export interface MemoryChainOptions {
  readonly netuid?: number
  readonly neurons: readonly MemoryNeuron[]
  readonly hyperparameters?: Partial<Hyperparameters>
  /** Free balance by address, in rao. */
  readonly balances?: Readonly<Record<string, bigint>>
  /** How weights go on chain. */
  readonly method?: WeightsMethod
}

const HYPERPARAMETERS: Hyperparameters = {
  tempo: 10,
  weightsRateLimit: 5,
  minAllowedWeights: 1,
  maxWeightsLimit: 65_535,
  weightsVersion: 0n,
  commitRevealEnabled: false,
  commitRevealVersion: 4,
  revealPeriodEpochs: 1,
  immunityPeriod: 100,
  servingRateLimit: 5,
  activityCutoff: 5_000,
  maxAllowedUids: 256,
  maxAllowedValidators: 128,
  registrationAllowed: true,
  burn: toRao(1_000_000_000n),
}

/**
 * A chain of one subnet in memory, for tests of what uses the chain. Blocks come when told. It keeps the
 * contract of the real client (test/contract/chain.test.ts), not the chain's economy.
 */
export class MemoryChain implements Chain {
  readonly netuid: Netuid
  hyper: Hyperparameters
  readonly method: WeightsMethod
  /** Every vector accepted, oldest first. */
  readonly sent: {
    readonly hotkey: Hotkey
    readonly block: number
    readonly uids: readonly Uid[]
    readonly values: readonly number[]
  }[] = []
  #neurons: Neuron[]
  #block = 1
  #closed = false
  readonly #balances: Map<string, bigint>
  readonly #servedAt = new Map<Hotkey, number>()
  readonly #weights = new Map<Uid, ReadonlyMap<Uid, number>>()
  readonly #lastGood = new Map<Hotkey, { uids: readonly Uid[]; weights: readonly number[] }>()
  readonly #listeners = new Set<(head: Head) => void>()
  readonly #refusals: string[] = []
  #failure: Error | undefined

  constructor(options: MemoryChainOptions) {
    this.netuid = toNetuid(options.netuid ?? 1)
    this.hyper = { ...HYPERPARAMETERS, ...options.hyperparameters }
    this.method = options.method ?? 'set'
    this.#balances = new Map(Object.entries(options.balances ?? {}))
    this.#neurons = options.neurons.map((neuron, i) => this.#neuron(i, neuron))
  }

  /** Makes blocks; listeners hear each. */
  advance(count = 1): void {
    for (let i = 0; i < count; i += 1) {
      this.#block += 1
      const head = this.#head()
      for (const listener of this.#listeners) listener(head)
    }
  }

  /** Gives a uid to another hotkey, as when a neuron is pruned. */
  replace(uid: number, neuron: MemoryNeuron): void {
    this.#neurons[uid] = this.#neuron(uid, neuron)
    this.#weights.delete(toUid(uid))
  }

  /** Sets fields of a neuron: incentive, stake, permit … */
  update(uid: number, fields: Partial<Neuron>): void {
    const neuron = this.#neurons[uid]
    if (neuron !== undefined) this.#neurons[uid] = { ...neuron, ...fields }
  }

  /** The next extrinsics are refused with these errors, one each. */
  refuseNext(...errors: readonly string[]): void {
    this.#refusals.push(...errors)
  }

  /** Every call throws this until it is called with nothing. */
  failWith(error?: Error): void {
    this.#failure = error
  }

  async head(): Promise<Head> {
    this.#check()
    return this.#head()
  }

  async blockHash(block: BlockNumber): Promise<string | undefined> {
    this.#check()
    return block <= this.#block ? hashOf(block) : undefined
  }

  async metagraph(netuid: Netuid) {
    this.#checkSubnet(netuid)
    return {
      netuid,
      block: toBlockNumber(this.#block),
      blockHash: hashOf(this.#block),
      neurons: [...this.#neurons],
    }
  }

  async hyperparameters(netuid: Netuid): Promise<Hyperparameters> {
    this.#checkSubnet(netuid)
    return this.hyper
  }

  async epoch(netuid: Netuid) {
    this.#checkSubnet(netuid)
    const length = this.hyper.tempo + 1
    return {
      block: toBlockNumber(this.#block),
      index: Math.floor((this.#block + netuid + 1) / length),
      blocksUntilNext: this.hyper.tempo - ((this.#block + netuid + 1) % length),
      blockTimeMs: 12_000,
    }
  }

  async weights(netuid: Netuid, uid: Uid): Promise<ReadonlyMap<Uid, number>> {
    this.#checkSubnet(netuid)
    return this.#weights.get(uid) ?? new Map()
  }

  async balance(address: string): Promise<Rao> {
    this.#check()
    return toRao(this.#balances.get(address) ?? 0n)
  }

  async serveAxon(
    signer: { readonly address: Hotkey },
    request: Parameters<Chain['serveAxon']>[1],
  ): Promise<Submission> {
    this.#checkSubnet(request.netuid)
    checkServable(request.ip, request.port)
    const neuron = this.#find(signer.address)
    if (neuron === undefined) return refuse('HotKeyNotRegisteredInSubNet')
    const { ip, port, version } = request
    const axon = { ip, port, version, protocol: 4 }
    if (JSON.stringify(neuron.axon) === JSON.stringify(axon)) return { outcome: 'unchanged' }
    const served = this.#servedAt.get(signer.address)
    const next = served === undefined ? 0 : served + this.hyper.servingRateLimit
    if (next > this.#block) return refuse('ServingRateLimitExceeded', next)
    const scripted = this.#refusals.shift()
    if (scripted !== undefined) return refuse(scripted)
    const block = this.#include()
    this.#neurons[neuron.uid] = { ...neuron, axon }
    this.#servedAt.set(signer.address, block)
    return included(block)
  }

  async setWeights(
    signer: { readonly address: Hotkey },
    request: WeightsRequest,
  ): Promise<WeightsResult> {
    return { ...this.#setWeights(signer.address, request), method: this.method }
  }

  #setWeights(hotkey: Hotkey, request: WeightsRequest): Submission & { verified?: boolean } {
    this.#checkSubnet(request.netuid)
    const neuron = this.#find(hotkey)
    if (neuron === undefined) return refuse('HotKeyNotRegisteredInSubNet')
    if (this.hyper.weightsVersion > (request.versionKey ?? SDK_WEIGHTS_VERSION)) {
      return refuse('IncorrectWeightVersionKey')
    }
    const next = neuron.lastUpdate === 0 ? 0 : neuron.lastUpdate + this.hyper.weightsRateLimit
    if (next > this.#block) return refuse('SettingWeightsTooFast', next)
    const usable =
      request.weights.every((w) => Number.isFinite(w) && w >= 0) &&
      request.weights.some((w) => w > 0)
    const chosen = usable ? request : this.#lastGood.get(hotkey)
    if (chosen === undefined) return refuse('WeightsEmpty')
    const { uids, values } = quantise(
      processWeights(chosen, {
        neurons: this.#neurons.length,
        minAllowedWeights: Math.min(this.hyper.minAllowedWeights, this.#neurons.length),
        maxShare: this.hyper.maxWeightsLimit / 65_535,
      }),
    )
    const loneSelf = uids.length === 1 && uids[0] === neuron.uid
    if (!neuron.validatorPermit && !loneSelf) return refuse('NeuronNoValidatorPermit')
    const scripted = this.#refusals.shift()
    if (scripted !== undefined) return refuse(scripted)
    const block = this.#include()
    this.#lastGood.set(hotkey, chosen)
    this.sent.push({ hotkey, block, uids, values })
    this.#neurons[neuron.uid] = { ...neuron, lastUpdate: toBlockNumber(block) }
    this.#weights.set(neuron.uid, new Map(uids.map((uid, i) => [uid, values[i] ?? 0])))
    return { ...included(block), verified: true }
  }

  async revealWeights(): Promise<readonly Submission[]> {
    this.#check()
    return []
  }

  async register(
    coldkey: { readonly address: string },
    request: Parameters<Chain['register']>[1],
  ): Promise<Submission> {
    this.#checkSubnet(request.netuid)
    if (this.#find(request.hotkey) !== undefined) return { outcome: 'unchanged' }
    if (!this.hyper.registrationAllowed) return refuse('SubNetRegistrationDisabled')
    const { burn } = this.hyper
    if (request.limit !== undefined && burn > request.limit) {
      return refuse('RegistrationPriceLimitExceeded')
    }
    const balance = this.#balances.get(coldkey.address) ?? 0n
    if (balance < burn) return refuse('NotEnoughBalanceToStake')
    const block = this.#include()
    this.#balances.set(coldkey.address, balance - burn)
    const owner = coldkey.address as Coldkey
    this.#neurons.push(
      this.#neuron(this.#neurons.length, { hotkey: request.hotkey, coldkey: owner }),
    )
    return included(block)
  }

  watchHeads(onHead: (head: Head) => void): { close(): void } {
    this.#listeners.add(onHead)
    return { close: () => void this.#listeners.delete(onHead) }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#listeners.clear()
  }

  #neuron(uid: number, neuron: MemoryNeuron): Neuron {
    return {
      uid: toUid(uid),
      hotkey: neuron.hotkey,
      coldkey: neuron.coldkey ?? (neuron.hotkey as string as Coldkey),
      stake: neuron.stake ?? 0,
      alphaStake: neuron.stake ?? 0,
      taoStake: 0,
      active: true,
      validatorPermit: neuron.validatorPermit ?? false,
      trust: 0,
      incentive: 0,
      dividends: 0,
      consensus: 0,
      emission: toRao(0n),
      lastUpdate: toBlockNumber(0),
      registeredAt: toBlockNumber(this.#block),
      axon: neuron.axon,
    }
  }

  #find(hotkey: Hotkey): Neuron | undefined {
    return this.#neurons.find((neuron) => neuron.hotkey === hotkey)
  }

  #include(): number {
    this.advance()
    return this.#block
  }

  #head(): Head {
    return { number: toBlockNumber(this.#block), hash: hashOf(this.#block) }
  }

  #check(): void {
    if (this.#closed) throw new ChainError({ code: 'CHAIN_CLOSED' }, 'the chain client was closed')
    if (this.#failure !== undefined) throw this.#failure
  }

  #checkSubnet(netuid: Netuid): void {
    this.#check()
    if (netuid === this.netuid) return
    throw new ChainError(
      { code: 'CHAIN_SUBNET_UNKNOWN', netuid },
      `subnet ${netuid} does not exist on this network`,
    )
  }
}

const hashOf = (block: number) => `0x${createHash('sha256').update(`block ${block}`).digest('hex')}`

function included(block: number): Submission & { outcome: 'included' } {
  return { outcome: 'included', extrinsicHash: hashOf(block), block: toBlockNumber(block) }
}

function refuse(error: string, retryAt?: number): Submission & { outcome: 'refused' } {
  return {
    outcome: 'refused',
    ...classify(error),
    ...(retryAt === undefined ? {} : { retryAt: toBlockNumber(retryAt) }),
  }
}
