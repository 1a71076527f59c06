import { u32, u64 } from '../scale/codec.js'
import { accountData, accountId, accountInfo, fixedU128, h256 } from './frame-types.js'
import { blake2, item, optional, palletStorage, twox64 } from './storage.js'

const ZERO_HASH = `0x${'00'.repeat(32)}`
/** The flag that says that holds and freezes are kept the new way. */
const NEW_LOGIC = 1n << 127n
const EMPTY_DATA = { free: 0n, reserved: 0n, frozen: 0n, flags: NEW_LOGIC }
const EMPTY_ACCOUNT = { nonce: 0, consumers: 0, providers: 0, sufficients: 0, data: EMPTY_DATA }

/** 1.0 as a FixedU128. */
const ONE = 10n ** 18n

export const System = palletStorage('System', {
  Account: item([blake2(accountId)], accountInfo, EMPTY_ACCOUNT),
  ExtrinsicCount: optional([], u32),
  BlockHash: item([twox64(u32)], h256, ZERO_HASH),
  Number: item([], u32, 0),
  ParentHash: item([], h256, ZERO_HASH),
  EventCount: item([], u32, 0),
})

export const Timestamp = palletStorage('Timestamp', {
  Now: item([], u64, 0n),
})

export const Balances = palletStorage('Balances', {
  TotalIssuance: item([], u64, 0n),
  InactiveIssuance: item([], u64, 0n),
  Account: item([blake2(accountId)], accountData, EMPTY_DATA),
})

export const TransactionPayment = palletStorage('TransactionPayment', {
  NextFeeMultiplier: item([], fixedU128, ONE),
})

export const Sudo = palletStorage('Sudo', {
  Key: optional([], accountId),
})
