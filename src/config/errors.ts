import { SubnetError } from '../lib/errors.js'

export type ConfigErrorData =
  /** Settings are missing, malformed or unknown; the message lists every one with its origin. Correct them all and start again. */
  | { code: 'CONFIG_INVALID'; problems: readonly string[] }
  /** The configuration file cannot be read or is not valid TOML. Check the path given by --config and the line named. */
  | { code: 'CONFIG_FILE_UNREADABLE'; path: string }

export class ConfigError extends SubnetError<ConfigErrorData> {}
