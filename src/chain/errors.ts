import { SubnetError } from '../lib/errors.js'

export type ChainErrorData =
  /** No endpoint answered in time; check the endpoint list and the network, the client goes on trying. */
  | { readonly code: 'CHAIN_UNREACHABLE'; readonly endpoints: readonly string[] }
  /** The node did not answer a call within its deadline; the call may be repeated. */
  | { readonly code: 'CHAIN_TIMEOUT'; readonly method: string; readonly timeoutMs: number }
  /** The connection closed while a call was waiting; reads are repeated on the next endpoint. */
  | { readonly code: 'CHAIN_DISCONNECTED'; readonly endpoint: string; readonly status?: number }
  /** The node answered a call with an error; its message says why. */
  | { readonly code: 'CHAIN_RPC_FAILED'; readonly method: string; readonly rpcCode: number }
  /** The node serves another network than the one expected; correct the endpoint or the network's name. */
  | { readonly code: 'CHAIN_WRONG_NETWORK'; readonly expected: string; readonly actual: string }
  /** The connected runtime lacks a call, storage item or API that is needed; use an endpoint with a newer runtime. */
  | { readonly code: 'CHAIN_RUNTIME_LACKS'; readonly item: string; readonly specVersion: number }
  /** What the node sent does not decode; try another endpoint and report the runtime version. */
  | { readonly code: 'CHAIN_MALFORMED'; readonly what: string }
  /** The subnet does not exist on this network; check the netuid. */
  | { readonly code: 'CHAIN_SUBNET_UNKNOWN'; readonly netuid: number }
  /** The chain refuses this address for an axon; advertise a routable one, or 127.0.0.2 on a local network. */
  | { readonly code: 'CHAIN_ADDRESS_REFUSED'; readonly ip: string; readonly port: number }
  /** The public address could not be discovered; set it by hand. */
  | { readonly code: 'CHAIN_ADDRESS_UNKNOWN'; readonly tried: readonly string[] }
  /** The weight vector cannot be sent: lengths differ, a uid repeats or is outside the subnet, or too few remain. */
  | { readonly code: 'CHAIN_WEIGHTS_INVALID'; readonly reason: string }
  /** A timelocked ciphertext is not laid out as the runtime writes it; it was truncated or made by another scheme. */
  | { readonly code: 'CHAIN_TIMELOCK_MALFORMED'; readonly reason: string }
  /** The round signature does not open this ciphertext; it was sealed to another round or key. */
  | { readonly code: 'CHAIN_TIMELOCK_SEALED' }
  /** Another running process holds this hotkey's weight ledger; stop it, or give this process its own hotkey. */
  | { readonly code: 'CHAIN_LEDGER_LOCKED'; readonly path: string; readonly pid: number }
  /** The weight ledger's file does not parse; move it away to start a new one, unrevealed commits are lost with it. */
  | { readonly code: 'CHAIN_LEDGER_CORRUPT'; readonly path: string }
  /** The chain client was closed; open a new one. */
  | { readonly code: 'CHAIN_CLOSED' }
  /** An endpoint or network name is not usable; give ws:// or wss:// URLs, or finney, test, local. */
  | { readonly code: 'CHAIN_ENDPOINT_INVALID'; readonly endpoint: string }

/** What goes wrong between this process and the chain. A refused extrinsic is data, not an error. */
export class ChainError extends SubnetError<ChainErrorData> {}
