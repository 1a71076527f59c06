import {
  type AnyCodec,
  bytes,
  compactBig,
  type StructValue,
  u8,
  u16,
  u32,
  u64,
  u128,
  vec,
} from '../scale/codec.js'
import { commitmentInfo } from './commitments.js'
import { accountId, boundedTo, h256, multiAddress } from './frame-types.js'
import type { Range } from './storage.js'

/** One call of a pallet. `free`: the fee is waived, as for all calls a neuron makes while working. */
export interface CallEntry<A extends Readonly<Record<string, AnyCodec>>> extends Range {
  readonly index: number
  readonly args: A
  readonly free: boolean
}

type CallArgs = Readonly<Record<string, AnyCodec>>
export type CallValue<C> = C extends CallEntry<infer A> ? StructValue<A> : never

const paid = <A extends CallArgs>(index: number, args: A, range: Range = {}): CallEntry<A> => ({
  index,
  args,
  free: false,
  ...range,
})
const free = <A extends CallArgs>(index: number, args: A, range: Range = {}): CallEntry<A> => ({
  index,
  args,
  free: true,
  ...range,
})

const TYPED = { since: 393 }
const LATEST = { since: 425 }

const sealedCommit = boundedTo(5000)
const axon = {
  netuid: u16,
  version: u32,
  ip: u128,
  port: u16,
  ip_type: u8,
  protocol: u8,
  placeholder1: u8,
  placeholder2: u8,
}
const reveal = { uids: vec(u16), values: vec(u16), salt: vec(u16), version_key: u64 }
const weights = { dests: vec(u16), weights: vec(u16), version_key: u64 }

export const SUBTENSOR_CALLS = {
  set_weights: free(0, { netuid: u16, ...weights }),
  serve_axon: free(4, axon),
  serve_prometheus: free(5, { netuid: u16, version: u32, ip: u128, port: u16, ip_type: u8 }),
  burned_register: paid(7, { netuid: u16, hotkey: accountId }),
  serve_axon_tls: free(40, { ...axon, certificate: bytes }),
  commit_weights: free(96, { netuid: u16, commit_hash: h256 }),
  reveal_weights: free(97, { netuid: u16, ...reveal }),
  commit_timelocked_weights: free(
    113,
    { netuid: u16, commit: sealedCommit, reveal_round: u64, commit_reveal_version: u16 },
    TYPED,
  ),
  commit_mechanism_weights: free(115, { netuid: u16, mecid: u8, commit_hash: h256 }, TYPED),
  reveal_mechanism_weights: free(116, { netuid: u16, mecid: u8, ...reveal }, TYPED),
  commit_crv3_mechanism_weights: free(
    117,
    { netuid: u16, mecid: u8, commit: sealedCommit, reveal_round: u64 },
    TYPED,
  ),
  commit_timelocked_mechanism_weights: free(
    118,
    { netuid: u16, mecid: u8, commit: sealedCommit, reveal_round: u64, commit_reveal_version: u16 },
    TYPED,
  ),
  set_mechanism_weights: free(119, { netuid: u16, mecid: u8, ...weights }, TYPED),
  register_limit: paid(134, { netuid: u16, hotkey: accountId, limit_price: u64 }, LATEST),
}

export const COMMITMENTS_CALLS = {
  set_commitment: free(0, { netuid: u16, info: commitmentInfo }),
}

export const BALANCES_CALLS = {
  transfer_allow_death: paid(0, { dest: multiAddress, value: compactBig(u64) }),
  transfer_keep_alive: paid(3, { dest: multiAddress, value: compactBig(u64) }),
}

export const SYSTEM_CALLS = {
  remark: paid(0, { remark: bytes }),
}

export const TIMESTAMP_CALLS = {
  set: free(0, { now: compactBig(u64) }),
}
