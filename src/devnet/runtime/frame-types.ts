import { DevnetError } from '../errors.js'
import { fromHex, type Reader, toHex, type Writer } from '../scale/bytes.js'
import {
  bytes,
  type Codec,
  compact,
  compactBig,
  enumOf,
  fixedBytes,
  option,
  plainVariants,
  struct,
  tuple,
  u8,
  u32,
  u64,
  u128,
  unit,
  variant,
  vec,
  wrapper,
} from '../scale/codec.js'

/** A 32-byte account id as 0x-prefixed lower-case hex: hotkeys and coldkeys inside the node. */
export type AccountId = string
/** A 32-byte hash as 0x-prefixed lower-case hex. */
export type Hash = string

function hex32(path: string): Codec<string> {
  const inner = fixedBytes(32)
  return {
    shape: { kind: 'composite', path, fields: [{ name: undefined, type: inner }] },
    minBytes: 32,
    encode: (value: string, out: Writer) => inner.encode(fromHex(value), out),
    decode: (input: Reader) => toHex(inner.decode(input)),
  }
}

export const accountId: Codec<AccountId> = hex32('sp_core::crypto::AccountId32')
export const h256: Codec<Hash> = hex32('primitive_types::H256')
/** `BoundedVec<u8, S>`. */
export const boundedBytes = wrapper('bounded_collections::bounded_vec::BoundedVec', bytes)

/** `BoundedVec<u8, limit>`, refused when longer. */
export const boundedTo = (limit: number): Codec<Uint8Array> => ({
  ...boundedBytes,
  decode(input) {
    const value = boundedBytes.decode(input)
    if (value.length <= limit) return value
    throw new DevnetError(
      { code: 'DEVNET_SCALE_INVALID', at: 0 },
      `a list of ${value.length} bytes where ${limit} are allowed`,
    )
  },
})

const u64c = compactBig(u64)

export const fixedU128 = wrapper('sp_arithmetic::fixed_point::FixedU128', u128)

// --- System and Balances -------------------------------------------------------------------

export const accountData = struct('pallet_balances::types::AccountData', {
  free: u64,
  reserved: u64,
  frozen: u64,
  flags: wrapper('pallet_balances::types::ExtraFlags', u128),
})

export const accountInfo = struct('frame_system::AccountInfo', {
  nonce: u32,
  consumers: u32,
  providers: u32,
  sufficients: u32,
  data: accountData,
})

export const weight = struct('sp_weights::weight_v2::Weight', {
  ref_time: u64c,
  proof_size: u64c,
})

const dispatchClass = enumOf(
  'frame_support::dispatch::DispatchClass',
  plainVariants('Normal', 'Operational', 'Mandatory'),
)
export const pays = enumOf('frame_support::dispatch::Pays', plainVariants('Yes', 'No'))

export const dispatchEventInfo = struct('frame_system::DispatchEventInfo', {
  weight,
  class: dispatchClass,
  pays_fee: pays,
})

const moduleError = struct('sp_runtime::ModuleError', { index: u8, error: fixedBytes(4) })
const tokenError = enumOf(
  'sp_runtime::TokenError',
  plainVariants(
    'FundsUnavailable',
    'OnlyProvider',
    'BelowMinimum',
    'CannotCreate',
    'UnknownAsset',
    'Frozen',
    'Unsupported',
    'CannotCreateHold',
    'NotExpendable',
    'Blocked',
  ),
)
const arithmeticError = enumOf(
  'sp_arithmetic::ArithmeticError',
  plainVariants('Underflow', 'Overflow', 'DivisionByZero'),
)
const transactionalError = enumOf(
  'sp_runtime::TransactionalError',
  plainVariants('LimitReached', 'NoLayer'),
)

export const dispatchError = enumOf('sp_runtime::DispatchError', [
  variant('Other', 0),
  variant('CannotLookup', 1),
  variant('BadOrigin', 2),
  variant('Module', 3, moduleError),
  variant('ConsumerRemaining', 4),
  variant('NoProviders', 5),
  variant('TooManyConsumers', 6),
  variant('Token', 7, tokenError),
  variant('Arithmetic', 8, arithmeticError),
  variant('Transactional', 9, transactionalError),
  variant('Exhausted', 10),
  variant('Corruption', 11),
  variant('Unavailable', 12),
  variant('RootNotAllowed', 13),
])

export const phase = enumOf('frame_system::Phase', [
  variant('ApplyExtrinsic', 0, u32),
  variant('Finalization', 1),
  variant('Initialization', 2),
])

export const multiAddress = enumOf(
  'sp_runtime::multiaddress::MultiAddress',
  [
    variant('Id', 0, accountId),
    variant('Index', 1, compact(u32)),
    variant('Raw', 2, bytes),
    variant('Address32', 3, fixedBytes(32)),
    variant('Address20', 4, fixedBytes(20)),
  ],
  [
    { name: 'AccountId', type: accountId },
    { name: 'AccountIndex', type: unit },
  ],
)

export const multiSignature = enumOf('sp_runtime::MultiSignature', [
  variant('Ed25519', 0, fixedBytes(64)),
  variant('Sr25519', 1, fixedBytes(64)),
  variant('Ecdsa', 2, fixedBytes(65)),
])

export const runtimeVersion = struct('sp_version::RuntimeVersion', {
  spec_name: bytesAsText(),
  impl_name: bytesAsText(),
  authoring_version: u32,
  spec_version: u32,
  impl_version: u32,
  apis: wrapper('Cow', vec(tuple<[Uint8Array, number]>(fixedBytes(8), u32))),
  transaction_version: u32,
  system_version: u8,
})

function bytesAsText(): Codec<string> {
  const primitive: Codec<string> = {
    shape: { kind: 'primitive', primitive: 'str' },
    minBytes: 1,
    encode: (value, out) => bytes.encode(Buffer.from(value), out),
    decode: (input) => Buffer.from(bytes.decode(input)).toString(),
  }
  return wrapper('Cow', primitive)
}

export const dispatchInfo = struct('pallet_transaction_payment::types::RuntimeDispatchInfo', {
  weight,
  class: dispatchClass,
  partial_fee: u64,
})

export const feeDetails = struct('pallet_transaction_payment::types::FeeDetails', {
  inclusion_fee: option(
    struct('pallet_transaction_payment::types::InclusionFee', {
      base_fee: u64,
      len_fee: u64,
      adjusted_weight_fee: u64,
    }),
  ),
  tip: u64,
})

// --- Drand ---------------------------------------------------------------------------------

export const beaconConfiguration = struct('pallet_drand::types::BeaconConfiguration', {
  public_key: boundedBytes,
  period: u32,
  genesis_time: u32,
  hash: boundedBytes,
  group_hash: boundedBytes,
  scheme_id: boundedBytes,
  metadata: struct('pallet_drand::types::Metadata', { beacon_id: boundedBytes }),
})

export const pulse = struct('pallet_drand::types::Pulse', {
  round: u64,
  randomness: boundedBytes,
  signature: boundedBytes,
})
