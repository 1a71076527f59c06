import { SubnetError } from '../lib/errors.js'

export type CliErrorData =
  /** The words after the verb are not understood. See subreel VERB --help. */
  { code: 'CLI_USAGE'; verb: string }

export class CliError extends SubnetError<CliErrorData> {}
