/** Branded numbers and strings of the domain. They are minted here alone. */
declare const brand: unique symbol
type Brand<T, B extends string> = T & { readonly [brand]: B }

/** A neuron's index in its subnet, 0–65535. The hotkey behind it may change. */
export type Uid = Brand<number, 'Uid'>
/** A subnet's number, 0–65535. */
export type Netuid = Brand<number, 'Netuid'>
/** A block's height. */
export type BlockNumber = Brand<number, 'BlockNumber'>
/** An ss58 address (prefix 42) of a hotkey: who a neuron is. */
export type Hotkey = Brand<string, 'Hotkey'>
/** An ss58 address (prefix 42) of a coldkey: who owns a hotkey. */
export type Coldkey = Brand<string, 'Coldkey'>
/** 1 TAO = 1e9 rao; alpha amounts use the same scale. */
export type Rao = Brand<bigint, 'Rao'>

const SS58 = /^[1-9A-HJ-NP-Za-km-z]{46,50}$/

function u16(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new RangeError(`${what} must be an integer in 0..65535, got ${value}`)
  }
  return value
}

/** @throws RangeError unless 0 ≤ value ≤ 65535 */
export const toUid = (value: number): Uid => u16(value, 'uid') as Uid
/** @throws RangeError unless 0 ≤ value ≤ 65535 */
export const toNetuid = (value: number): Netuid => u16(value, 'netuid') as Netuid

/** @throws RangeError unless a safe non-negative integer */
export function toBlockNumber(value: number): BlockNumber {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`block number must be a non-negative integer, got ${value}`)
  }
  return value as BlockNumber
}

/** Checks the shape only; the checksum is checked where keys are decoded (wallet/ss58). @throws RangeError */
export function toHotkey(value: string): Hotkey {
  if (!SS58.test(value)) throw new RangeError('hotkey must be an ss58 address')
  return value as Hotkey
}

/** @throws RangeError unless shaped like an ss58 address */
export const toColdkey = (value: string): Coldkey => toHotkey(value) as string as Coldkey

/** @throws RangeError when negative */
export function toRao(value: bigint): Rao {
  if (value < 0n) throw new RangeError(`an amount in rao cannot be negative, got ${value}`)
  return value as Rao
}

export const RAO_PER_TAO = 1_000_000_000n

/** TAO as a float, for display and priorities; loses precision above 2^53 rao. */
export const raoToTao = (rao: Rao): number => Number(rao) / Number(RAO_PER_TAO)
