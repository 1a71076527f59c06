export { withNumbers } from './edit.js'
export { ConfigError } from './errors.js'
export {
  appliesTo,
  type Effective,
  isSecret,
  type LoadInput,
  loadConfig,
  nearestWord,
  type Origin,
  SETTING_NAMES,
  settingOf,
} from './load.js'
export {
  type Config,
  PROCESSES,
  type ProcessName,
  SETTINGS,
  type Setting,
  type SettingName,
} from './settings.js'
export { formatConfig, formatHelp, type ShownSetting, showConfig } from './show.js'
export { configuredLog, logLevel, type StartOptions, startProcess } from './start.js'
