import { type Config, ConfigError } from '../config/index.js'
import { toUid, type Uid } from '../protocol/index.js'
import { LEDGER_RULES, type LedgerRules } from '../scoring/ledger.js'
import { type TaskKind, VIDEO_CODECS } from '../scoring/types.js'
import { WEIGHTS, type WeightConfig } from '../scoring/weights.js'
import {
  DEFAULT_PLAN_SETTINGS,
  type PlanSettings,
  ROUND_KINDS,
  type RoundKind,
  scaleOf,
} from './plan.js'

/** Kinds of synthetic rounds on clips that the settings ask for. @throws ConfigError */
export function roundKinds(config: Config): RoundKind[] {
  return config['validator.kinds'].flatMap((word) => {
    if (word === GENERATION) return []
    const kind = ROUND_KINDS.find((known) => known === word)
    if (kind === undefined)
      throw invalidSetting(
        `validator.kinds: ${word} is none of ${ROUND_KINDS.join(', ')}, ${GENERATION}`,
      )
    return kind
  })
}

const GENERATION = 'generation'

/** Whether the settings ask for rounds of generation. */
export const playsGeneration = (config: Config): boolean =>
  config['validator.kinds'].includes(GENERATION)

/** What rounds are drawn from, by the settings. @throws ConfigError */
export function planSettings(config: Config): PlanSettings {
  const defaults = DEFAULT_PLAN_SETTINGS
  return {
    ...defaults,
    thresholds: config['validator.thresholds'].map((word) => {
      const threshold = Number(word)
      if (!(threshold >= 0 && threshold <= 100))
        throw invalidSetting(`validator.thresholds: ${word} is no VMAF score in 0..100`)
      return threshold
    }),
    codecs: config['validator.codecs'].map((word) => {
      const codec = VIDEO_CODECS.find((known) => known === word)
      if (codec === undefined)
        throw invalidSetting(`validator.codecs: ${word} is none of ${VIDEO_CODECS.join(', ')}`)
      return codec
    }),
    asUsers: config['validator.as_users'],
    taskTypes: config['validator.task_types'].map(
      (name) =>
        defaults.taskTypes.find((type) => type.name === name) ?? {
          name,
          scale: scaleOf(name),
          weight: 0.3,
        },
    ),
  }
}

const DEFAULT_TIMEOUT_SECONDS = { compression: 120, upscaling: 40 } as const

const GIGAPIXEL = 1e9

/**
 * Time a miner has for a task, in milliseconds: for rounds and users alike. `pixels`: frames × width ×
 * height of what it is given, 0 where unknown.
 */
export function minerTimeoutMs(
  config: Config,
  kind: keyof typeof DEFAULT_TIMEOUT_SECONDS | 'generation',
  pixels: number,
): number {
  if (kind === 'generation') return config['generation.timeout_seconds'] * 1_000
  const least = config['neuron.timeout'] ?? DEFAULT_TIMEOUT_SECONDS[kind]
  const bySize = (config['validator.seconds_per_gigapixel'] * pixels) / GIGAPIXEL
  return Math.max(least, bySize) * 1_000
}

/** How long what miners fetch can be fetched: twice their time, for late fetches and crashes of theirs. */
export const payloadLivesSeconds = (timeoutMs: number): number =>
  Math.ceil((2 * timeoutMs) / 1_000) + 600

const HOUR_MS = 3_600_000

/** How running scores are kept, by the settings. */
export function ledgerRules(config: Config): LedgerRules {
  return {
    ...LEDGER_RULES,
    keepRows: config['weights.window_rows'],
    halfLifeMs: config['weights.half_life_hours'] * HOUR_MS,
  }
}

/** How scores become weights, by the settings. @throws ConfigError */
export function weightPolicy(config: Config): {
  readonly config: WeightConfig
  readonly burnUid?: Uid
} {
  const burnUid = config['weights.burn_uid']
  if (config['weights.burn'] > 0 && burnUid === undefined)
    throw invalidSetting('weights.burn: name who gets it with weights.burn_uid')
  return {
    config: {
      ...WEIGHTS,
      pools: poolShares(config['weights.pools']),
      sharing:
        config['weights.sharing'] === 'ranks'
          ? {
              kind: 'ranks',
              shares: config['weights.rank_shares'].map((word) =>
                share('weights.rank_shares', word),
              ),
            }
          : { kind: 'proportional', power: config['weights.power'] },
      minTasks: config['weights.min_tasks'],
      alphaFactor: config['weights.alpha_factor'],
      liquidationFactor: config['weights.liquidation_factor'],
      burn: config['weights.burn'],
    },
    ...(burnUid === undefined ? {} : { burnUid: toUid(burnUid) }),
  }
}

function poolShares(words: readonly string[]): WeightConfig['pools'] {
  const pools: Record<TaskKind, number> = { compression: 0, upscaling: 0, generation: 0, audio: 0 }
  for (const word of words) {
    const [kind = '', value = ''] = word.split('=')
    if (!Object.hasOwn(pools, kind))
      throw invalidSetting(`weights.pools: ${kind} is none of ${Object.keys(pools).join(', ')}`)
    pools[kind as TaskKind] = share('weights.pools', value)
  }
  if (Object.values(pools).every((value) => value === 0))
    throw invalidSetting('weights.pools: at least one kind must have a share above 0')
  return pools
}

function share(setting: string, word: string): number {
  const value = Number(word)
  if (word.trim() === '' || !(value >= 0 && value <= 1))
    throw invalidSetting(`${setting}: ${word || 'nothing'} is no share in 0..1`)
  return value
}

export function invalidSetting(problem: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', problems: [problem] }, problem)
}
