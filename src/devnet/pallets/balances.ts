import type { AccountId } from '../runtime/frame-types.js'
import { EXISTENTIAL_DEPOSIT } from '../runtime/runtime.js'
import { Balances, System } from '../runtime/system.js'
import type { View } from '../state/view.js'
import { type Context, Refusal } from './context.js'

export const freeBalance = (state: View, who: AccountId): bigint =>
  state.read(System.Account, who).data.free

/** Sets the free balance; the account exists from then on. */
function setFree(state: View, who: AccountId, free: bigint): void {
  const account = state.read(System.Account, who)
  state.write(System.Account, [who], {
    ...account,
    providers: Math.max(1, account.providers),
    data: { ...account.data, free },
  })
}

/** Takes `amount` out of existence. @throws RangeError when the account holds less */
export function withdraw(state: View, who: AccountId, amount: bigint): void {
  const free = freeBalance(state, who)
  if (free < amount) throw new RangeError('balance too low')
  setFree(state, who, free - amount)
  state.write(Balances.TotalIssuance, [], state.read(Balances.TotalIssuance) - amount)
}

/** Adds new money to an account. */
export function mint(state: View, who: AccountId, amount: bigint): void {
  setFree(state, who, freeBalance(state, who) + amount)
  state.write(Balances.TotalIssuance, [], state.read(Balances.TotalIssuance) + amount)
}

/** `Balances.transfer_keep_alive` and `transfer_allow_death`. */
export function transfer(
  context: Context,
  from: AccountId,
  to: AccountId,
  amount: bigint,
  keepAlive: boolean,
): void {
  const { state } = context
  const left = freeBalance(state, from) - amount
  if (left < 0n) throw new Refusal('InsufficientBalance', 'Balances')
  if (keepAlive && left < EXISTENTIAL_DEPOSIT) throw new Refusal('Expendability', 'Balances')
  const before = freeBalance(state, to)
  if (before === 0n && amount < EXISTENTIAL_DEPOSIT) {
    throw new Refusal('ExistentialDeposit', 'Balances')
  }
  setFree(state, from, left)
  if (before === 0n && from !== to) {
    context.emit({ pallet: 'System', name: 'NewAccount', values: [to] })
    context.emit({ pallet: 'Balances', name: 'Endowed', values: [to, amount] })
  }
  setFree(state, to, freeBalance(state, to) + amount)
  context.emit({ pallet: 'Balances', name: 'Transfer', values: [from, to, amount] })
}
