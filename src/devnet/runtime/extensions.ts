import {
  type AnyCodec,
  compact,
  compactBig,
  enumOf,
  fixedBytes,
  option,
  plainVariants,
  struct,
  u8,
  u32,
  u64,
  unit,
  variant,
  wrapper,
} from '../scale/codec.js'
import { h256 } from './frame-types.js'
import type { Range } from './storage.js'

/** One transaction extension: what it adds to an extrinsic and what only the signed payload holds. */
export interface Extension extends Range {
  readonly name: string
  readonly extra: AnyCodec
  readonly implicit: AnyCodec
}

const marker = (path: string): AnyCodec => struct(path, {})
const TYPED = { since: 393 }
const OLD = { until: 393 }

const era = enumOf('sp_runtime::generic::era::Era', [
  variant('Immortal', 0),
  ...Array.from({ length: 255 }, (_, i) => variant(`Mortal${i + 1}`, i + 1, u8)),
])

const metadataMode = enumOf(
  'frame_metadata_hash_extension::Mode',
  plainVariants('Disabled', 'Enabled'),
)

/** In the order of an extrinsic. Those without content are there because clients must see them. */
export const EXTENSIONS: readonly Extension[] = [
  {
    name: 'CheckNonZeroSender',
    extra: marker('frame_system::extensions::check_non_zero_sender::CheckNonZeroSender'),
    implicit: unit,
  },
  {
    name: 'CheckSpecVersion',
    extra: marker('frame_system::extensions::check_spec_version::CheckSpecVersion'),
    implicit: u32,
  },
  {
    name: 'CheckTxVersion',
    extra: marker('frame_system::extensions::check_tx_version::CheckTxVersion'),
    implicit: u32,
  },
  {
    name: 'CheckGenesis',
    extra: marker('frame_system::extensions::check_genesis::CheckGenesis'),
    implicit: h256,
  },
  {
    name: 'CheckMortality',
    extra: wrapper('frame_system::extensions::check_mortality::CheckMortality', era),
    implicit: h256,
  },
  {
    name: 'CheckNonce',
    extra: wrapper('node_subtensor_runtime::check_nonce::CheckNonce', compact(u32)),
    implicit: unit,
  },
  {
    name: 'CheckWeight',
    extra: marker('frame_system::extensions::check_weight::CheckWeight'),
    implicit: unit,
  },
  {
    name: 'ChargeTransactionPayment',
    extra: wrapper('pallet_transaction_payment::ChargeTransactionPayment', compactBig(u64)),
    implicit: unit,
  },
  {
    name: 'SubtensorSignedExtension',
    extra: marker('pallet_subtensor::SubtensorSignedExtension'),
    implicit: unit,
    ...OLD,
  },
  {
    name: 'CommitmentsSignedExtension',
    extra: marker('pallet_commitments::CommitmentsSignedExtension'),
    implicit: unit,
    ...OLD,
  },
  {
    name: 'SudoTransactionExtension',
    extra: marker('node_subtensor_runtime::sudo_wrapper::SudoTransactionExtension'),
    implicit: unit,
    ...TYPED,
  },
  {
    name: 'CheckShieldedTxValidity',
    extra: marker('pallet_shield::extension::CheckShieldedTxValidity'),
    implicit: unit,
    ...TYPED,
  },
  {
    name: 'SubtensorTransactionExtension',
    extra: marker('pallet_subtensor::extensions::subtensor::SubtensorTransactionExtension'),
    implicit: unit,
    ...TYPED,
  },
  {
    name: 'DrandPriority',
    extra: marker('pallet_drand::drand_priority::DrandPriority'),
    implicit: unit,
    ...TYPED,
  },
  {
    name: 'CheckMetadataHash',
    extra: struct('frame_metadata_hash_extension::CheckMetadataHash', { mode: metadataMode }),
    implicit: option(fixedBytes(32)),
  },
]
