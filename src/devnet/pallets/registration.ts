import type { CallValue, SUBTENSOR_CALLS } from '../runtime/calls.js'
import type { AccountId } from '../runtime/frame-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { freeBalance, withdraw } from './balances.js'
import { type Context, emitSubtensor, ensure } from './context.js'
import { associate, neuronToPrune, placeNeuron } from './neurons.js'

type Args<K extends keyof typeof SUBTENSOR_CALLS> = CallValue<(typeof SUBTENSOR_CALLS)[K]>

/** `burned_register`: the coldkey signs and pays, the hotkey becomes a neuron. */
export function burnedRegister(
  context: Context,
  coldkey: AccountId,
  { netuid, hotkey }: Args<'burned_register'>,
): void {
  const { state } = context
  ensureSubnet(context, netuid)
  ensure(state.read(Subtensor.NetworkRegistrationAllowed, netuid), 'SubNetRegistrationDisabled')
  ensureRegistrationRate(context, netuid)
  ensure(!state.has(Subtensor.Uids, netuid, hotkey), 'HotKeyAlreadyRegisteredInSubNet')
  const price = state.read(Subtensor.Burn, netuid)
  ensure(freeBalance(state, coldkey) >= price, 'NotEnoughBalanceToStake')
  associate(state, coldkey, hotkey)
  ensure(state.read(Subtensor.Owner, hotkey) === coldkey, 'NonAssociatedColdKey')
  const n = state.read(Subtensor.SubnetworkN, netuid)
  const room = n < state.read(Subtensor.MaxAllowedUids, netuid)
  const uid = room ? n : neuronToPrune(state, netuid, context.block)
  ensure(uid !== undefined, 'NoNeuronIdAvailable')

  withdraw(state, coldkey, price)
  placeNeuron(state, netuid, uid, hotkey, context.block)
  const burned = state.read(Subtensor.RAORecycledForRegistration, netuid)
  state.write(Subtensor.RAORecycledForRegistration, [netuid], burned + price)
  for (const counter of [Subtensor.RegistrationsThisBlock, Subtensor.RegistrationsThisInterval]) {
    state.write(counter, [netuid], state.read(counter, netuid) + 1)
  }
  emitSubtensor(context, 'NeuronRegistered', netuid, uid, hotkey)
}

/** `register_limit`: the same, refused when the price is above the caller's limit. */
export function registerLimit(
  context: Context,
  coldkey: AccountId,
  { netuid, hotkey, limit_price }: Args<'register_limit'>,
): void {
  ensureSubnet(context, netuid)
  const price = context.state.read(Subtensor.Burn, netuid)
  ensure(price <= limit_price, 'RegistrationPriceLimitExceeded')
  burnedRegister(context, coldkey, { netuid, hotkey })
}

function ensureSubnet({ state }: Context, netuid: number): void {
  ensure(netuid !== 0, 'RegistrationNotPermittedOnRootSubnet')
  ensure(state.read(Subtensor.NetworksAdded, netuid), 'SubnetNotExists')
}

/** Older runtimes count registrations by block and by interval; the newest one lets the price decide. */
function ensureRegistrationRate({ state, runtime }: Context, netuid: number): void {
  if (runtime.model >= 425) return
  const perBlock = state.read(Subtensor.MaxRegistrationsPerBlock, netuid)
  ensure(
    state.read(Subtensor.RegistrationsThisBlock, netuid) < perBlock,
    'TooManyRegistrationsThisBlock',
  )
  const perInterval = 3 * state.read(Subtensor.TargetRegistrationsPerInterval, netuid)
  ensure(
    state.read(Subtensor.RegistrationsThisInterval, netuid) < perInterval,
    'TooManyRegistrationsThisInterval',
  )
}
