import { SubnetError } from '../lib/errors.js'

/** Codes of the axon. What goes to a peer is a status and a short message, not one of these. */
export class AxonError extends SubnetError<
  /** Two synapses of one name were given: names are the URL and must differ. */
  | { code: 'AXON_SYNAPSE_DUPLICATE'; name: string }
  /** An option of createAxon is out of its range: the message says which and what is allowed. */
  | { code: 'AXON_OPTION_INVALID'; option: string }
  /** The axon cannot listen on its address: choose a free port or stop what holds it. */
  | { code: 'AXON_LISTEN_FAILED'; host: string; port: number }
  /** The shared nonce store does not answer: start Redis again; requests are refused meanwhile. */
  | { code: 'AXON_NONCES_UNAVAILABLE' }
  /** A handler refuses a request with this status and message for the caller. */
  | { code: 'AXON_REFUSED'; status: number; retryAfterMs: number | undefined }
> {}
