/** Fees in rao: a part for every extrinsic, one by its length. finney's are of this order. */
const BASE_FEE = 100_000n
const FEE_PER_BYTE = 300n

export interface Fee {
  readonly base: bigint
  readonly length: bigint
  readonly total: bigint
}

/** The inclusion fee of an extrinsic of `lengthBytes`; a free call costs nothing. */
export function inclusionFee(lengthBytes: number, free: boolean): Fee {
  const base = free ? 0n : BASE_FEE
  const length = free ? 0n : FEE_PER_BYTE * BigInt(lengthBytes)
  return { base, length, total: base + length }
}

/** Weight of any call: enough to be a number, no model of execution time. */
export const CALL_WEIGHT = { ref_time: 300_000_000n, proof_size: 4000n }
