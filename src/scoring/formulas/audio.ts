import { clamp, mean } from './numbers.js'

/** Violet's task types (useviolet/violetaudio 392f665). */
export type AudioTask =
  | 'transcription'
  | 'video_transcription'
  | 'tts'
  | 'summarization'
  | 'text_translation'
  | 'document_translation'

const OPTIMAL_SECONDS: Readonly<Record<string, number>> = {
  transcription: 2,
  video_transcription: 5,
  tts: 3,
  summarization: 5,
  text_translation: 4,
  document_translation: 4,
}
/** What Violet's code knows; every other task counts as 5 s there. */
const OPTIMAL_SECONDS_IN_CODE: Readonly<Record<string, number>> = {
  transcription: 2,
  tts: 3,
  summarization: 5,
}

/**
 * Speed in four steps: 1 within the optimum, 0.8 within twice, 0.6 within five times, else 0.3.
 *
 * @param rules `documented` (default) knows six task types, `reference` the three in Violet's code
 */
export function audioSpeed(
  seconds: number,
  task: string,
  rules: 'documented' | 'reference' = 'documented',
): number {
  const table = rules === 'documented' ? OPTIMAL_SECONDS : OPTIMAL_SECONDS_IN_CODE
  const optimal = table[task] ?? 5
  if (seconds <= optimal) return 1
  if (seconds <= optimal * 2) return 0.8
  return seconds <= optimal * 5 ? 0.6 : 0.3
}

interface TaskWeights {
  readonly accuracy: number
  readonly speed: number
  readonly quality: number
}

const OTHER_WEIGHTS: TaskWeights = { accuracy: 0.6, speed: 0.25, quality: 0.15 }
const TRANSCRIPTION: TaskWeights = { accuracy: 0.65, speed: 0.25, quality: 0.1 }
const TRANSLATION: TaskWeights = { accuracy: 0.7, speed: 0.2, quality: 0.1 }
const TASK_WEIGHTS: Readonly<Record<string, TaskWeights>> = {
  transcription: TRANSCRIPTION,
  video_transcription: TRANSCRIPTION,
  tts: { accuracy: 0.5, speed: 0.2, quality: 0.3 },
  summarization: { accuracy: 0.6, speed: 0.2, quality: 0.2 },
  text_translation: TRANSLATION,
  document_translation: TRANSLATION,
}

export interface AudioScore {
  readonly speed: number
  /** In [0, 1]. */
  readonly combined: number
  /** Violet's scale, 0–500. */
  readonly score: number
}

/** Score of one audio or text task; accuracy and quality are measured by the validator, 0–1. */
export function audioTaskScore(
  input: {
    readonly accuracy: number
    readonly seconds: number
    readonly quality: number
    readonly task: string
  },
  rules: 'documented' | 'reference' = 'documented',
): AudioScore {
  const weights = TASK_WEIGHTS[input.task] ?? OTHER_WEIGHTS
  const speed = audioSpeed(input.seconds, input.task, rules)
  const combined =
    input.accuracy * weights.accuracy + speed * weights.speed + input.quality * weights.quality
  return { speed, combined, score: Math.min(500, combined * 500) }
}

/** Chain weight from service: 0.55 uptime, 0.25 calls, 0.15 diversity, 0.05 bounties; on 0–500. */
export function rewardWeight(input: {
  readonly uptime: number
  readonly invocation: number
  readonly diversity: number
  readonly bounty: number
}): { readonly final: number; readonly weight: number } {
  const final =
    input.uptime * 0.55 + input.invocation * 0.25 + input.diversity * 0.15 + input.bounty * 0.05
  return { final, weight: Math.min(500, final * 500) }
}

/** Who should get the next task, 0–1. */
export function availability(input: {
  readonly performance: number
  readonly load: number
  readonly capacity: number
  readonly stake: number
  readonly secondsSinceSeen: number
}): number {
  const load = input.capacity > 0 ? Math.max(0, 1 - input.load / input.capacity) : 0
  const stake = Math.min(1, input.stake / 1000)
  const recency = Math.max(0, 1 - input.secondsSinceSeen / 900)
  return clamp(input.performance * 0.4 + load * 0.3 + stake * 0.2 + recency * 0.1, 0, 1)
}

/** Capped total plus at most 5 % for speed, at most 500. */
export function rankScore(
  total: number,
  secondsPerTask: readonly number[],
): { readonly capped: number; readonly bonus: number; readonly score: number } {
  const capped = Math.min(500, total)
  const average = mean(secondsPerTask)
  const bonus = average > 0 ? Math.max(0, (10 - average) / 10) * 0.05 : 0
  return { capped, bonus, score: Math.min(500, capped * (1 + bonus)) }
}

export interface ScanInput {
  readonly seconds: number
  readonly accuracy: number
  readonly stake: number
  readonly maxStake: number
  /** Absent for a miner without history: no bonus then. */
  readonly history?:
    | {
        readonly successRate: number
        readonly recentSuccessRate: number
        /** Tasks of this type so far, and their success rate; counts from five on. */
        readonly sameTaskCount: number
        readonly sameTaskSuccessRate: number
      }
    | undefined
}

/** Violet's reward of one scan: 0.35 speed, 0.35 accuracy, 0.2 stake and up to 0.3 of history. */
export function scanReward(input: ScanInput): number {
  const speed = input.seconds <= 0 ? 0 : Math.min(1, Math.exp(-input.seconds / 10))
  const stake = input.maxStake <= 0 ? 0 : Math.min(1, input.stake / input.maxStake)
  const { history } = input
  const bonus =
    history === undefined
      ? 0
      : history.successRate * 0.15 +
        history.recentSuccessRate * 0.05 +
        (history.sameTaskCount >= 5 ? history.sameTaskSuccessRate * 0.1 : 0)
  return Math.min(1, speed * 0.35 + input.accuracy * 0.35 + stake * 0.2 + bonus)
}

export interface MeasuredResponse {
  readonly uid: number
  /** Measured by the validator, 0–1. What a miner says of itself is never an input here. */
  readonly accuracy: number
  readonly speed: number
  readonly seconds: number
}

/** The answer shown to the user: 0.7 accuracy + 0.3 speed, ties to the faster. */
export function bestResponse(responses: readonly MeasuredResponse[]): MeasuredResponse | undefined {
  const value = (r: MeasuredResponse): number => 0.7 * r.accuracy + 0.3 * r.speed
  let best: MeasuredResponse | undefined
  for (const response of responses) {
    const ahead = best === undefined ? 1 : value(response) - value(best)
    if (best === undefined || ahead > 1e-12) best = response
    else if (Math.abs(ahead) <= 1e-12 && response.seconds < best.seconds) best = response
  }
  return best
}
