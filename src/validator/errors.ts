import { SubnetError } from '../lib/errors.js'

export type ValidatorErrorData =
  /** The database cannot be opened or written. Check DATABASE_URL, the disk and the rights of the file. */
  | { code: 'STATE_UNAVAILABLE' }
  /** No validator has kept its state where the settings say. Give the validator's neuron.data_dir or DATABASE_URL. */
  | { code: 'STATE_ABSENT'; path: string }
  /** The database was written by a newer Subreel. Install that version, or restore a backup made before the upgrade. */
  | { code: 'STATE_NEWER'; migration: string }
  /** A task may not go from one status to the other. The task was changed by somebody else meanwhile. */
  | { code: 'STATE_EDGE_REFUSED'; taskId: string; from: string; to: string }
  /** A round that is not open was written to. It was committed or voided before. */
  | { code: 'STATE_ROUND_CLOSED'; roundId: string }
  /** An import was refused; the database is as it was. Use an empty database and an unchanged export. */
  | { code: 'STATE_IMPORT_REFUSED' }
  /** Another validator with the same hotkey is running. Stop it, or wait until its lease has expired. */
  | { code: 'VALIDATOR_LEASE_HELD'; holder: string; expiresInMs: number }
  /** A duty took too long and was aborted; it runs again at its time. Look at what it waits for: chain, miners, database. */
  | { code: 'VALIDATOR_DUTY_LATE'; duty: string; deadlineMs: number }
  /** The hotkey is not registered on the subnet. Register it, or choose another hotkey. */
  | { code: 'VALIDATOR_NOT_REGISTERED'; hotkey: string }

export class ValidatorError extends SubnetError<ValidatorErrorData> {}
