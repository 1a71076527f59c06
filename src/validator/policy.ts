import { type Config, ConfigError } from '../config/index.js'
import { VIDEO_CODECS } from '../scoring/types.js'
import {
  DEFAULT_PLAN_SETTINGS,
  type PlanSettings,
  ROUND_KINDS,
  type RoundKind,
  type RoundPlan,
} from './plan.js'

/** Kinds of synthetic rounds that the settings ask for. @throws ConfigError */
export function roundKinds(config: Config): RoundKind[] {
  return config['validator.kinds'].map((word) => {
    const kind = ROUND_KINDS.find((known) => known === word)
    if (kind === undefined)
      throw invalid(`validator.kinds: ${word} is none of ${ROUND_KINDS.join(', ')}`)
    return kind
  })
}

/** What rounds are drawn from, by the settings. @throws ConfigError */
export function planSettings(config: Config): PlanSettings {
  const defaults = DEFAULT_PLAN_SETTINGS
  return {
    ...defaults,
    thresholds: config['validator.thresholds'].map((word) => {
      const threshold = Number(word)
      if (!(threshold >= 0 && threshold <= 100))
        throw invalid(`validator.thresholds: ${word} is no VMAF score in 0..100`)
      return threshold
    }),
    codecs: config['validator.codecs'].map((word) => {
      const codec = VIDEO_CODECS.find((known) => known === word)
      if (codec === undefined)
        throw invalid(`validator.codecs: ${word} is none of ${VIDEO_CODECS.join(', ')}`)
      return codec
    }),
    taskTypes: config['validator.task_types'].map(
      (name) =>
        defaults.taskTypes.find((type) => type.name === name) ?? {
          name,
          scale: name === 'SD24K' ? 4 : 2,
          weight: 0.3,
        },
    ),
  }
}

const DEFAULT_TIMEOUT_SECONDS = { compression: 120, upscaling: 40 } as const

/** Time a miner has for a round's task, in milliseconds. */
export function roundTimeoutMs(config: Config, plan: RoundPlan): number {
  return (config['neuron.timeout'] ?? DEFAULT_TIMEOUT_SECONDS[plan.task.kind]) * 1_000
}

function invalid(problem: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', problems: [problem] }, problem)
}
