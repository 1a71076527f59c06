import {
  bytes,
  enumOf,
  fixedBytes,
  struct,
  tuple,
  u16,
  u32,
  u64,
  type Variant,
  variant,
  vec,
  wrapper,
} from '../scale/codec.js'
import { accountId, boundedTo } from './frame-types.js'
import { identity, item, optional, palletStorage, twox64 } from './storage.js'

const TYPED = { since: 393 }
const RAW_MAX = 128
const HASHES = ['BlakeTwo256', 'Sha256', 'Keccak256', 'ShaThree256']

/** `Raw0` … `Raw128` hold that many bytes each. */
const rawVariants = Array.from({ length: RAW_MAX + 1 }, (_, length) =>
  variant(`Raw${length}`, length + 1, fixedBytes(length)),
)

const data = enumOf('pallet_commitments::types::Data', [
  variant('None', 0),
  ...rawVariants,
  ...HASHES.map((name, i) => variant(name, RAW_MAX + 2 + i, fixedBytes(32))),
  timelocked(),
  variant('ResetBondsFlag', RAW_MAX + 7),
  variant('BigRaw', RAW_MAX + 8, boundedTo(512)),
])

function timelocked(): Variant {
  return {
    name: 'TimelockEncrypted',
    index: RAW_MAX + 6,
    fields: [
      { name: 'encrypted', type: boundedTo(1024) },
      { name: 'reveal_round', type: u64 },
    ],
  }
}

export const commitmentInfo = struct('pallet_commitments::types::CommitmentInfo', {
  fields: wrapper('bounded_collections::bounded_vec::BoundedVec', vec(data)),
})

const registration = struct('pallet_commitments::types::Registration', {
  deposit: u64,
  block: u32,
  info: commitmentInfo,
})

export const Commitments = palletStorage('Commitments', {
  CommitmentOf: optional([identity(u16), twox64(accountId)], registration),
  LastCommitment: optional([identity(u16), twox64(accountId)], u32),
  RevealedCommitments: optional(
    [identity(u16), twox64(accountId)],
    vec(tuple<[Uint8Array, bigint]>(bytes, u64)),
    TYPED,
  ),
  MaxSpace: item([], u32, 3100, TYPED),
})
