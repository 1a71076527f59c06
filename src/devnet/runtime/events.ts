import { type AnyCodec, type Field, u16, u64 } from '../scale/codec.js'
import { accountId, dispatchError, dispatchEventInfo, h256 } from './frame-types.js'
import { inRange, type Range } from './storage.js'

/** One event. Where an older runtime numbers it differently, `old` is its index before spec 393. */
export interface EventEntry extends Range {
  readonly index: number
  readonly old: number | undefined
  readonly fields: readonly Field[]
}

const unnamed = (types: readonly AnyCodec[]): Field[] =>
  types.map((type) => ({ name: undefined, type }))

const event = (index: number, old: number, ...types: AnyCodec[]): EventEntry => ({
  index,
  old,
  fields: unnamed(types),
})

const recent = (index: number, ...types: AnyCodec[]): EventEntry => ({
  index,
  old: undefined,
  fields: unnamed(types),
  since: 393,
})

const named = (index: number, fields: Readonly<Record<string, AnyCodec>>): EventEntry => ({
  index,
  old: index,
  fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
})

export const SUBTENSOR_EVENTS = {
  NetworkAdded: event(0, 0, u16, u16),
  WeightsSet: event(5, 4, u16, u16),
  NeuronRegistered: event(6, 5, u16, u16, accountId),
  AxonServed: event(28, 24, u16, accountId),
  PrometheusServed: event(29, 25, u16, accountId),
  TempoSet: event(50, 45, u16, u16),
  WeightsCommitted: event(83, 80, accountId, u16, h256),
  WeightsRevealed: event(84, 81, accountId, u16, h256),
  TimelockedWeightsCommitted: recent(105, accountId, u16, h256, u64),
  TimelockedWeightsRevealed: recent(106, u16, accountId),
} satisfies Record<string, EventEntry>

export const SYSTEM_EVENTS = {
  ExtrinsicSuccess: named(0, { dispatch_info: dispatchEventInfo }),
  ExtrinsicFailed: named(1, { dispatch_error: dispatchError, dispatch_info: dispatchEventInfo }),
  CodeUpdated: named(2, {}),
  NewAccount: named(3, { account: accountId }),
} satisfies Record<string, EventEntry>

export const BALANCES_EVENTS = {
  Endowed: named(0, { account: accountId, free_balance: u64 }),
  Transfer: named(2, { from: accountId, to: accountId, amount: u64 }),
  Withdraw: named(8, { who: accountId, amount: u64 }),
} satisfies Record<string, EventEntry>

export const COMMITMENTS_EVENTS = {
  Commitment: named(0, { netuid: u16, who: accountId }),
} satisfies Record<string, EventEntry>

export const PAYMENT_EVENTS = {
  TransactionFeePaid: named(0, { who: accountId, actual_fee: u64, tip: u64 }),
} satisfies Record<string, EventEntry>

export const eventIndex = (entry: EventEntry, spec: number): number | undefined => {
  if (!inRange(entry, spec)) return undefined
  return spec < 393 ? entry.old : entry.index
}
