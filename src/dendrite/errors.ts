import { SubnetError } from '../lib/errors.js'

/** What the dendrite throws. A miner's failure is an outcome, not one of these. */
export class DendriteError extends SubnetError<
  /** The dendrite was closed: make a new one. */
  | { code: 'DENDRITE_CLOSED' }
  /** The legacy protocol knows sr25519 signatures only: use an sr25519 hotkey, or the protocol btauth1. */
  | { code: 'DENDRITE_SCHEME_UNSUPPORTED'; scheme: string }
> {}
