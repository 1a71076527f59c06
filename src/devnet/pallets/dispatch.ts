import type { CallValue, SUBTENSOR_CALLS } from '../runtime/calls.js'
import type { AccountId } from '../runtime/frame-types.js'
import type { Call } from '../runtime/runtime.js'
import type { EnumValue } from '../scale/codec.js'
import { transfer } from './balances.js'
import { setCommitment } from './commitments.js'
import { commitTimelocked, commitWeights, revealWeights } from './commits.js'
import { type Context, Refusal } from './context.js'
import { burnedRegister, registerLimit } from './registration.js'
import { serveAxon, serveAxonTls, servePrometheus } from './serving.js'
import { setWeights } from './weights.js'

type Calls = typeof SUBTENSOR_CALLS
type Handlers = {
  readonly [K in keyof Calls]: (context: Context, who: AccountId, args: CallValue<Calls[K]>) => void
}

/** The sealed form that `commit_crv3_mechanism_weights` always has. */
const CRV3_VERSION = 4

const SUBTENSOR: Handlers = {
  set_weights: (context, who, args) => setWeights(context, who, { ...args, mecid: 0 }),
  set_mechanism_weights: setWeights,
  serve_axon: serveAxon,
  serve_axon_tls: serveAxonTls,
  serve_prometheus: servePrometheus,
  burned_register: burnedRegister,
  register_limit: registerLimit,
  commit_weights: (context, who, args) => commitWeights(context, who, { ...args, mecid: 0 }),
  commit_mechanism_weights: commitWeights,
  reveal_weights: (context, who, args) => revealWeights(context, who, { ...args, mecid: 0 }),
  reveal_mechanism_weights: revealWeights,
  commit_timelocked_weights: (context, who, args) =>
    commitTimelocked(context, who, { ...args, mecid: 0 }),
  commit_timelocked_mechanism_weights: commitTimelocked,
  commit_crv3_mechanism_weights: (context, who, args) =>
    commitTimelocked(context, who, { ...args, commit_reveal_version: CRV3_VERSION }),
}

type Handler = (context: Context, who: AccountId, args: Call['args']) => void

/** Runs a call. @throws Refusal with the runtime's error name */
export function dispatch(context: Context, who: AccountId, call: Call): void {
  const { pallet, name, args } = call
  if (pallet === 'System') return
  if (pallet === 'Balances') {
    const dest = args['dest'] as EnumValue
    if (dest.name !== 'Id') throw new Refusal('DeadAccount', 'Balances')
    const keepAlive = name === 'transfer_keep_alive'
    transfer(context, who, dest.values[0] as string, args['value'] as bigint, keepAlive)
    return
  }
  if (pallet === 'Commitments') {
    setCommitment(context, who, args as Parameters<typeof setCommitment>[2])
    return
  }
  const handler = (SUBTENSOR as unknown as Readonly<Record<string, Handler>>)[name]
  if (pallet !== 'SubtensorModule' || handler === undefined) {
    throw new RangeError(`no handler for ${pallet}.${name}`)
  }
  handler(context, who, args)
}
