import { SubnetError } from '../lib/errors.js'

/** What the miner itself refuses or fails with. */
export class MinerError extends SubnetError<
  /** This miner does not do the kind of work that was asked; ask for the kinds it warrants. */
  | { code: 'MINER_KIND_NOT_OFFERED'; kind: string }
  /** A parameter of the task is not one that any engine knows; the message names what is known. */
  | { code: 'MINER_BAD_TASK'; field: string }
  /** The engine or service for this kind does not work now; the log says why. */
  | { code: 'MINER_ENGINE_DOWN'; kind: string }
  /** The processing service answered without a result; its own log holds the reason. */
  | { code: 'MINER_SERVICE_FAILED'; status: number | undefined }
  /** A stage of the work took longer than its share of the caller's time; its process was ended. */
  | { code: 'MINER_STAGE_LATE'; stage: 'fetch' | 'engine' | 'deliver'; timeoutMs: number }
  /** None of the task's videos could be done; the code of each is in the log. */
  | { code: 'MINER_TASK_FAILED'; codes: string }
  /** The chain knows no such hotkey on this subnet; register it first. */
  | { code: 'MINER_NOT_REGISTERED'; hotkey: string }
  /** Settings of the miner contradict each other; the message names them. */
  | { code: 'MINER_CONFIG'; setting: string }
> {}
