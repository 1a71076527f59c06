import { SubnetError } from '../lib/errors.js'

/** Codes thrown by the local chain. */
export class DevnetError extends SubnetError<
  /** Bytes are not the SCALE value they should be; the caller sent a damaged key, argument or extrinsic. */
  | { code: 'DEVNET_SCALE_INVALID'; at: number }
  /** The block asked for was never made, was forked away or is older than the kept history; ask for a newer one. */
  | { code: 'DEVNET_BLOCK_UNKNOWN'; block: string }
  /** The options contradict each other or name no known item; correct the option named in the message. */
  | { code: 'DEVNET_OPTION_INVALID'; option: string }
  /** The state file cannot be read back; delete it to start from genesis. */
  | { code: 'DEVNET_STATE_INVALID'; path: string }
  /** The state file cannot be written; give a path in a folder that exists and has room. */
  | { code: 'DEVNET_STATE_UNWRITABLE'; path: string }
  /** The node cannot listen where it should; give another port or host. */
  | { code: 'DEVNET_ADDRESS_UNUSABLE'; host: string; port: number }
> {}
