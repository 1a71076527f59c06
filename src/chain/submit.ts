import type { SubmittableExtrinsic } from '@polkadot/api/types'
import type { RuntimeVersion } from '@polkadot/types/interfaces'
import { z } from 'zod'
import { describeError } from '../lib/errors.js'
import { type BlockNumber, toBlockNumber } from '../protocol/units.js'
import type { Signer } from '../wallet/types.js'
import { classify, nameSubmitError } from './classify.js'
import { type Connection, parse } from './connection.js'
import type { ChainError } from './errors.js'
import type { ChainMetrics } from './metrics.js'
import { isConnectionLoss, type Session } from './session.js'
import { RpcError } from './socket.js'
import type { CallOptions, Head, Submission } from './types.js'
import { bigUint, uint } from './values.js'

/**
 * How an extrinsic reaches the chain, and how we know what became of it:
 *
 *     1  signed with an era of 64 blocks from the newest final block (one that no fork replaces, or the
 *        signature would not hold any more) → after that block it can never be included
 *     2  author_submitExtrinsic; on a lost endpoint the same bytes go to the next one (the nonce makes
 *        that safe: the chain takes them once)
 *     3  every block since is looked at for those very bytes, on whichever endpoint works
 *     4  found → System.Events of that block say whether it succeeded; era over → certainly not included
 *
 * Watching by subscription (author_submitAndWatchExtrinsic) would end with the socket and leave it open
 * whether the extrinsic is on chain.
 */
const ERA_BLOCKS = 64
/** Where finality lags further behind, the era begins at the head. */
const MAX_FINALITY_LAG = 16

/** What to submit: built anew for each try, since a try may meet another runtime. */
export interface Order {
  /** For metrics and logs. */
  readonly kind: 'serve' | 'weights' | 'reveal' | 'register'
  readonly build: (connection: Connection) => Promise<{
    readonly pallet: string
    readonly call: string
    readonly args: Readonly<Record<string, unknown>>
  }>
}

export interface SubmitterOptions {
  readonly session: Session
  readonly metrics?: ChainMetrics
}

interface Sent {
  readonly hex: string
  readonly hash: string
  /** First block that can hold it, were those after its birth replaced by a fork. */
  readonly from: number
  /** Last block that can hold it. */
  readonly until: number
}

const blockBody = z.looseObject({
  block: z.looseObject({ extrinsics: z.array(z.string()) }),
})
const feeInfo = z.looseObject({ partialFee: bigUint })
const account = z.looseObject({ data: z.looseObject({ free: bigUint }) })

export class Submitter {
  readonly #session: Session
  readonly #metrics: ChainMetrics | undefined
  /** The tail of each key's queue: a key's nonces are used one after the other. */
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(options: SubmitterOptions) {
    this.#session = options.session
    this.#metrics = options.metrics
  }

  /** Signs, sends and follows one extrinsic; one at a time per key. A refusal is a result, not an error. */
  async submit(signer: Signer, order: Order, options: CallOptions): Promise<Submission> {
    const before = this.#queues.get(signer.address) ?? Promise.resolve()
    const run = before.then(() => this.#submitNow(signer, order, options))
    const tail = run.catch(() => undefined)
    this.#queues.set(signer.address, tail)
    try {
      const result = await run
      this.#metrics?.extrinsics.inc({ kind: order.kind, outcome: result.outcome })
      return result
    } finally {
      if (this.#queues.get(signer.address) === tail) this.#queues.delete(signer.address)
    }
  }

  async #submitNow(signer: Signer, order: Order, options: CallOptions): Promise<Submission> {
    const signal = options.signal ?? new AbortController().signal
    const prepared = await this.#session.read(`${order.kind}: sign`, options, (link, within) =>
      this.#prepare(link, signer, order, within),
    )
    if ('outcome' in prepared) return prepared
    return this.#follow(prepared, order, signal)
  }

  async #prepare(
    connection: Connection,
    signer: Signer,
    order: Order,
    signal: AbortSignal,
  ): Promise<Sent | Submission> {
    const runtime = await connection.currentRuntime()
    const { pallet, call, args } = await order.build(connection)
    const extrinsic = runtime.extrinsic(pallet, call, args)
    const head = connection.head
    const [nonce, final] = await Promise.all([
      this.#nonce(connection, signer, signal),
      connection.finalized({ signal }),
    ])
    const birth = head.number - final.number <= MAX_FINALITY_LAG ? final : head
    sign(extrinsic, signer, {
      blockHash: birth.hash,
      blockNumber: birth.number,
      genesisHash: runtime.genesisHash,
      nonce,
      runtimeVersion: runtime.version,
    })
    const hex = extrinsic.toHex()
    const unpayable = await this.#feeRefusal(connection, head, signer, extrinsic, signal)
    if (unpayable !== undefined) return unpayable
    return {
      hex,
      hash: extrinsic.hash.toHex(),
      from: birth.number + 1,
      until: eraDeath(birth.number),
    }
  }

  async #nonce(connection: Connection, signer: Signer, signal: AbortSignal): Promise<number> {
    const at = connection.head.hash
    const nonce = await connection.call(at, 'AccountNonceApi', 'account_nonce', [signer.address], {
      signal,
    })
    if (nonce !== undefined) return parse(uint, nonce, 'the nonce')
    const read = await connection.read(
      at,
      { account: ['System', 'Account', signer.address] },
      { signal },
    )
    return parse(z.looseObject({ nonce: uint }), read.account, 'the account').nonce
  }

  /** A refusal when the account cannot pay the fee; most of subtensor's calls cost a hotkey nothing. */
  async #feeRefusal(
    connection: Connection,
    head: Head,
    signer: Signer,
    extrinsic: SubmittableExtrinsic<'promise'>,
    signal: AbortSignal,
  ): Promise<Submission | undefined> {
    const bytes = extrinsic.toU8a()
    let answer: unknown
    try {
      answer = await connection.call(
        head.hash,
        'TransactionPaymentApi',
        'query_info',
        [bytes, bytes.length],
        { signal },
      )
    } catch (error) {
      if (isConnectionLoss(error) || signal.aborted) throw error
      // The runtime prices only what it can decode, and says so itself when it cannot.
      this.#session.log.debug(
        { event: 'fee.unknown', reason: describeError(error) },
        'the fee could not be asked',
      )
      return undefined
    }
    if (answer === undefined) return undefined
    const fee = parse(feeInfo, answer, 'the fee').partialFee
    if (fee === 0n) return undefined
    const read = await connection.read(
      head.hash,
      { account: ['System', 'Account', signer.address] },
      { signal },
    )
    const { free } = parse(account, read.account, 'the account').data
    return free >= fee
      ? undefined
      : refused('TransactionPayment', `fee ${fee} rao, balance ${free} rao`)
  }

  /** Sends, then looks for the bytes block by block until they are found or their era is over. */
  async #follow(sent: Sent, order: Order, signal: AbortSignal): Promise<Submission> {
    const session = this.#session
    let asked: Connection | undefined
    let next = sent.from
    for (;;) {
      const step = await session.read(`${order.kind}: submit`, { signal }, async (link, within) => {
        if (link !== asked) {
          // Another node, or one that started again, may not have the extrinsic, and its blocks may
          // differ from those seen.
          next = sent.from
          const refusal = await this.#send(link, sent, within)
          asked = link
          if (refusal !== undefined) {
            // An earlier send that was never answered may be what used the nonce: look at the newest
            // block, which may not have been announced yet, before believing the refusal.
            await link.pollHead({ signal: within })
            const found = await this.#scan(link, sent, next, within)
            return found.result ?? refusal
          }
        }
        const found = await this.#scan(link, sent, next, within)
        next = found.next
        return found.result
      })
      if (step !== undefined) {
        session.log.debug(
          { event: 'extrinsic.settled', kind: order.kind, outcome: step.outcome, hash: sent.hash },
          'an extrinsic was settled',
        )
        return step
      }
      if (next > sent.until) return refused('TransactionExpired')
      await session.headAt(next, session.blockTimeMs, signal)
    }
  }

  async #send(
    connection: Connection,
    sent: Sent,
    signal: AbortSignal,
  ): Promise<Submission | undefined> {
    try {
      await connection.request('author_submitExtrinsic', [sent.hex], { signal })
      return undefined
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      const name = nameSubmitError(rpcCodeOf(error), error.detail)
      if (name === 'AlreadyImported') return undefined
      return refused(name ?? 'NodeRefused', error.message)
    }
  }

  /** Looks through the blocks from `from` to the head. */
  async #scan(
    connection: Connection,
    sent: Sent,
    from: number,
    signal: AbortSignal,
  ): Promise<{ readonly next: number; readonly result?: Submission }> {
    const last = Math.min(connection.head.number, sent.until)
    for (let number = from; number <= last; number += 1) {
      const at = await connection.blockHash(number, { signal })
      if (at === undefined) return { next: number }
      const body = parse(
        blockBody,
        await connection.request('chain_getBlock', [at], { signal }),
        'a block',
      )
      const index = body.block.extrinsics.indexOf(sent.hex)
      if (index < 0) continue
      const result = await this.#outcome(connection, sent, at, toBlockNumber(number), index, signal)
      return { next: number, result }
    }
    return { next: Math.max(from, last + 1) }
  }

  async #outcome(
    connection: Connection,
    sent: Sent,
    at: string,
    block: BlockNumber,
    index: number,
    signal: AbortSignal,
  ): Promise<Submission> {
    const runtime = await connection.currentRuntime()
    const events = await connection.events(at, { signal })
    const failed = events.find(
      (event) =>
        event.extrinsic === index && event.pallet === 'system' && event.name === 'ExtrinsicFailed',
    )
    if (failed !== undefined) {
      return refused(nameDispatchError(failed.data[0], (i, e) => runtime.moduleErrorName(i, e)))
    }
    return { outcome: 'included', extrinsicHash: sent.hash, block }
  }
}

/** A refusal in the terms of the `Chain` interface. */
export function refused(error: string, detail?: string): Submission & { outcome: 'refused' } {
  return { outcome: 'refused', ...classify(error, detail) }
}

const moduleError = z.object({
  module: z.object({ index: z.number(), error: z.union([z.string(), z.number()]) }),
})

/** The name in a dispatch error, whichever of its kinds it is. */
export function nameDispatchError(
  error: unknown,
  moduleErrorName: (index: number, error: number) => string,
): string {
  const module = moduleError.safeParse(error)
  if (module.success) {
    const { index, error: code } = module.data.module
    const variant = typeof code === 'number' ? code : Number.parseInt(code.slice(2, 4), 16)
    return moduleErrorName(index, variant)
  }
  if (typeof error === 'string') return error
  const kind = typeof error === 'object' && error !== null ? Object.keys(error)[0] : undefined
  return kind === undefined ? 'DispatchFailed' : `${kind[0]?.toUpperCase() ?? ''}${kind.slice(1)}`
}

interface SignWith {
  readonly blockHash: string
  readonly blockNumber: number
  readonly genesisHash: string
  readonly nonce: number
  readonly runtimeVersion: RuntimeVersion
}

/** MultiSignature's variant of each scheme. */
const SCHEME_BYTE = { ed25519: 0, sr25519: 1 } as const

function sign(extrinsic: SubmittableExtrinsic<'promise'>, signer: Signer, options: SignWith): void {
  const { registry } = extrinsic
  const era = registry.createTypeUnsafe('ExtrinsicEra', [
    { current: options.blockNumber, period: ERA_BLOCKS },
  ])
  const pair = {
    address: signer.address,
    addressRaw: signer.publicKey,
    publicKey: signer.publicKey,
    sign: (message: Uint8Array) =>
      Uint8Array.from([SCHEME_BYTE[signer.scheme], ...signer.sign(message)]),
  }
  extrinsic.sign(
    pair as unknown as Parameters<typeof extrinsic.sign>[0],
    {
      blockHash: options.blockHash,
      era: era.toHex(),
      genesisHash: options.genesisHash,
      nonce: options.nonce,
      runtimeVersion: options.runtimeVersion,
      signedExtensions: registry.signedExtensions,
      tip: 0,
    } as unknown as Parameters<typeof extrinsic.sign>[1],
  )
}

/** Last block in which an extrinsic signed at `current` can be included. */
export function eraDeath(current: number): number {
  const phase = current % ERA_BLOCKS
  const birth = Math.floor((Math.max(current, phase) - phase) / ERA_BLOCKS) * ERA_BLOCKS + phase
  return birth + ERA_BLOCKS - 1
}

function rpcCodeOf(error: ChainError): number {
  return error.data.code === 'CHAIN_RPC_FAILED' ? error.data.rpcCode : 0
}
