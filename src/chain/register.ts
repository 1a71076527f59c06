import { z } from 'zod'
import type { Hotkey, Netuid, Rao } from '../protocol/units.js'
import type { Signer } from '../wallet/types.js'
import { type Connection, parse } from './connection.js'
import { unknownSubnet } from './metagraph.js'
import type { Session } from './session.js'
import { refused, type Submitter } from './submit.js'
import type { CallOptions, Submission } from './types.js'
import { bigUint, uint } from './values.js'

const PALLET = 'SubtensorModule'

export interface RegisterRequest {
  readonly netuid: Netuid
  readonly hotkey: Hotkey
  /** Highest price to pay, in rao. */
  readonly limit?: Rao
}

const state = z.object({
  added: z.boolean().optional(),
  uid: uint.optional(),
  burn: bigUint,
  allowed: z.boolean().optional(),
  account: z.looseObject({ data: z.looseObject({ free: bigUint }) }),
})

/**
 * Registers a hotkey by burning the price, within the limit. Where the runtime knows `register_limit`
 * it enforces the limit itself; otherwise the price is compared here, right before.
 *
 * @throws ChainError CHAIN_SUBNET_UNKNOWN
 */
export async function register(
  session: Session,
  submitter: Submitter,
  coldkey: Signer,
  request: RegisterRequest,
  options: CallOptions,
): Promise<Submission> {
  const { netuid, hotkey, limit } = request
  const now = await session.read('register: read', options, (link, signal) =>
    readState(link, request, coldkey, signal),
  )
  if (now.added === false) throw unknownSubnet(netuid)
  if (now.uid !== undefined) return { outcome: 'unchanged' }
  if (now.allowed === false) return refused('SubNetRegistrationDisabled')
  const price = `price ${now.burn} rao`
  if (limit !== undefined && now.burn > limit) {
    return refused('RegistrationPriceLimitExceeded', `${price}, limit ${limit} rao`)
  }
  const { free } = now.account.data
  if (free < now.burn) {
    return refused('NotEnoughBalanceToStake', `${price}, balance ${free} rao`)
  }
  return submitter.submit(
    coldkey,
    {
      kind: 'register',
      build: async (link) => {
        const runtime = await link.currentRuntime()
        return limit !== undefined && runtime.hasCall(PALLET, 'register_limit')
          ? {
              pallet: PALLET,
              call: 'register_limit',
              args: { netuid, hotkey, limit_price: limit.toString() },
            }
          : { pallet: PALLET, call: 'burned_register', args: { netuid, hotkey } }
      },
    },
    options,
  )
}

async function readState(
  link: Connection,
  { netuid, hotkey }: RegisterRequest,
  coldkey: Signer,
  signal: AbortSignal,
) {
  const read = await link.read(
    link.head.hash,
    {
      added: [PALLET, 'NetworksAdded', netuid],
      uid: [PALLET, 'Uids', netuid, hotkey],
      burn: [PALLET, 'Burn', netuid],
      allowed: [PALLET, 'NetworkRegistrationAllowed', netuid],
      account: ['System', 'Account', coldkey.address],
    },
    { signal },
  )
  return parse(state, read, 'the registration state')
}
