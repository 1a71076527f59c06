import { InvalidTransaction, PAYMENT, STALE } from './extrinsic.js'
import { CALL_WEIGHT, inclusionFee } from './fees.js'
import { withdraw } from './pallets/balances.js'
import { type Context, Refusal } from './pallets/context.js'
import { dispatch } from './pallets/dispatch.js'
import { checkBeforeInclusion, customErrorNumber } from './pallets/validation.js'
import type { Pooled } from './pool.js'
import type { Event } from './runtime/runtime.js'
import { System } from './runtime/system.js'
import type { EnumValue } from './scale/codec.js'

/** Errors the scripted faults put in place of what a call would have done. */
export type ScriptedRefusal = (pooled: Pooled) => string | undefined

/**
 * Whether an extrinsic may enter the block being made: nonce, fee and the runtime's own checks.
 * @throws InvalidTransaction in the words of the RPC
 */
export function validate(context: Context, pooled: Pooled): void {
  const { extrinsic, data } = pooled
  const account = context.state.read(System.Account, extrinsic.signer)
  if (extrinsic.nonce < account.nonce) throw new InvalidTransaction(STALE)
  const fee = inclusionFee(data.length, extrinsic.call.free).total + extrinsic.tip
  if (fee > account.data.free) throw new InvalidTransaction(PAYMENT)
  try {
    checkBeforeInclusion(context, extrinsic.signer, extrinsic.call)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new InvalidTransaction(`Custom error: ${customErrorNumber(error.error)}`)
  }
}

/**
 * Applies one validated extrinsic: fee, nonce, the call and its events. A refused call leaves
 * nothing but the fee, the nonce and `ExtrinsicFailed`.
 */
export function execute(context: Context, pooled: Pooled, scripted: ScriptedRefusal): void {
  const { extrinsic, data } = pooled
  const { signer, call, nonce, tip } = extrinsic
  const fee = inclusionFee(data.length, call.free).total + tip
  withdraw(context.state, signer, fee)
  const account = context.state.read(System.Account, signer)
  context.state.write(System.Account, [signer], { ...account, nonce: nonce + 1 })
  if (fee > 0n) {
    context.emit({ pallet: 'Balances', name: 'Withdraw', values: [signer, fee] })
  }
  const refused = attempt(context, pooled, scripted)
  if (fee > 0n) {
    context.emit({
      pallet: 'TransactionPayment',
      name: 'TransactionFeePaid',
      values: [signer, fee, tip],
    })
  }
  context.emit(outcome(refused, call.free))
}

/** Runs the call; its changes and events are kept only when it is not refused. */
function attempt(
  context: Context,
  pooled: Pooled,
  scripted: ScriptedRefusal,
): EnumValue | undefined {
  const events: Event[] = []
  try {
    const error = scripted(pooled)
    if (error !== undefined) throw new Refusal(error)
    context.state.transaction((state) => {
      const inner = { ...context, state, emit: (event: Event) => void events.push(event) }
      dispatch(inner, pooled.extrinsic.signer, pooled.extrinsic.call)
    })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return context.runtime.moduleError(error.pallet, error.error)
  }
  for (const event of events) context.emit(event)
  return undefined
}

export function outcome(refused: EnumValue | undefined, free: boolean): Event {
  const info = {
    weight: CALL_WEIGHT,
    class: { name: 'Normal', values: [] },
    pays_fee: { name: free ? 'No' : 'Yes', values: [] },
  }
  return refused === undefined
    ? { pallet: 'System', name: 'ExtrinsicSuccess', values: [info] }
    : { pallet: 'System', name: 'ExtrinsicFailed', values: [refused, info] }
}
