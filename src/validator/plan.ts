import type { CorpusClip, Cut, Degradation, Overlay, Variation } from '../corpus/index.js'
import { pick, type Rng, SeededRng, shuffle } from '../lib/rng.js'
import { VIDEO_CODECS, type VideoCodec } from '../scoring/types.js'

/** Kinds of challenge that a round may hold. */
export const ROUND_KINDS = ['compression', 'upscaling'] as const
export type RoundKind = (typeof ROUND_KINDS)[number]

/** How much larger a task type makes a video; as the reference, all but one double its sides. */
export const scaleOf = (taskType: string): 2 | 4 => (taskType === 'SD24K' ? 4 : 2)

/** What a miner is asked to do. */
export type MinerWork =
  | {
      readonly kind: 'compression'
      readonly vmafThreshold: number
      readonly codec: VideoCodec
      readonly mode: 'CRF' | 'VBR'
      readonly targetBitrateMbps: number
    }
  | { readonly kind: 'upscaling'; readonly taskType: string }

/** A challenge: the work, and what only the validator knows of how it was made. */
export type RoundTask =
  | Extract<MinerWork, { kind: 'compression' }>
  | (Extract<MinerWork, { kind: 'upscaling' }> & {
      readonly scale: 2 | 4
      readonly degradation: Degradation
    })

export interface RoundPlan {
  readonly roundId: string
  readonly clipId: string
  readonly cut: Cut
  readonly task: RoundTask
  /** Hotkeys in the order they are asked. */
  readonly order: readonly string[]
}

export interface PlanSettings {
  readonly thresholds: readonly number[]
  readonly codecs: readonly VideoCodec[]
  readonly modes: readonly ('CRF' | 'VBR')[]
  readonly bitratesMbps: readonly number[]
  /** Share of compressions that are drawn from what users may choose instead, 0–1. */
  readonly asUsers: number
  /** Task type → scale and its share of the draws. */
  readonly taskTypes: readonly {
    readonly name: string
    readonly scale: 2 | 4
    readonly weight: number
  }[]
}

/** The reference subnet's draws, and a share of what its users may ask beyond them. */
export const DEFAULT_PLAN_SETTINGS: PlanSettings = {
  thresholds: [85, 89, 93],
  codecs: ['av1', 'hevc'],
  modes: ['CRF', 'VBR'],
  bitratesMbps: [5, 8, 10],
  asUsers: 0.25,
  taskTypes: [
    { name: 'HD24K', scale: 2, weight: 0.35 },
    { name: 'SD2HD', scale: 2, weight: 0.3 },
    { name: 'SD24K', scale: 4, weight: 0.3 },
    { name: '4K28K', scale: 2, weight: 0.05 },
  ],
}

export interface PlanInput {
  readonly netuid: number
  readonly kind: RoundKind
  /** Hash of the block that opens the round: everything is drawn from it. */
  readonly blockHash: string
  readonly block: number
  readonly clips: readonly CorpusClip[]
  /** Hotkeys that handle the kind. */
  readonly miners: readonly string[]
  /** Length of the challenge. */
  readonly seconds: number
  readonly settings: PlanSettings
}

const between = (rng: Rng, low: number, high: number) => low + (high - low) * rng.float()
const rounded = (value: number) => Math.round(value * 10_000) / 10_000

/**
 * Draws a round from a block hash. Two validators that see the same block, corpus and miners choose
 * alike, and a round can be replayed from its row; nobody can know it before the block exists.
 * The inputs are sorted first, so the order in which a validator happens to hold them is no input.
 */
export function planRound(input: PlanInput): RoundPlan {
  const rng = new SeededRng(`subreel round ${input.netuid} ${input.kind} ${input.blockHash}`)
  const clips = [...input.clips].sort((a, b) => (a.id < b.id ? -1 : 1))
  const clip = pick(rng, clips)
  const seconds = Math.min(input.seconds, clip.durationSeconds)
  return {
    roundId: `${input.netuid}-${input.kind}-${input.block}-${input.blockHash.slice(2, 10)}`,
    clipId: clip.id,
    cut: {
      startSeconds: rounded(between(rng, 0, clip.durationSeconds - seconds)),
      seconds,
      variation: drawVariation(rng, input.kind, clips, seconds),
    },
    task:
      input.kind === 'compression'
        ? drawCompression(rng, input.settings)
        : drawUpscaling(rng, input.settings),
    order: shuffle(rng, [...input.miners].sort()),
  }
}

/** Share of challenges with a part of another clip in them. */
const OVERLAID = 0.3

function drawVariation(
  rng: Rng,
  kind: RoundKind,
  clips: readonly CorpusClip[],
  seconds: number,
): Variation {
  const overlay = drawOverlay(rng, clips, seconds)
  return {
    ...(overlay === undefined ? {} : { overlay }),
    mirror: rng.int(2) === 1,
    crop: rounded(between(rng, 0, 0.1)),
    cropX: rounded(rng.float()),
    cropY: rounded(rng.float()),
    hue: rounded(between(rng, -12, 12)),
    saturation: rounded(between(rng, 0.92, 1.08)),
    brightness: rounded(between(rng, -0.03, 0.03)),
    // Grain of the reference is gone from the small clip: no upscaler could bring it back.
    grain: kind === 'upscaling' ? 0 : rounded(between(rng, 0, 4)),
    grainSeed: rng.int(2 ** 31),
    speed: rounded(between(rng, 0.9, 1.1)),
  }
}

function drawOverlay(rng: Rng, clips: readonly CorpusClip[], seconds: number): Overlay | undefined {
  if (rng.float() >= OVERLAID) return undefined
  const clip = pick(rng, clips)
  return {
    clipId: clip.id,
    startSeconds: rounded(between(rng, 0, Math.max(0, clip.durationSeconds - seconds))),
    size: rounded(between(rng, 0.2, 0.45)),
    x: rounded(rng.float()),
    y: rounded(rng.float()),
  }
}

/** VMAF thresholds that users have a reason to choose: below, nobody watches it; above, nothing is saved. */
const USERS_THRESHOLDS = { least: 70, most: 97 } as const
const USERS_MOST_MBPS = 20

/** Whole as a rule, a tenth at times, as people write numbers. */
function drawUsersThreshold(rng: Rng): number {
  const { least, most } = USERS_THRESHOLDS
  const steps = rng.int(4) === 0 ? 10 : 1
  return (least * steps + rng.int((most - least) * steps + 1)) / steps
}

function drawCompression(rng: Rng, settings: PlanSettings): RoundTask {
  if (rng.float() < settings.asUsers) {
    return {
      kind: 'compression',
      vmafThreshold: drawUsersThreshold(rng),
      codec: pick(rng, VIDEO_CODECS),
      mode: pick(rng, settings.modes),
      targetBitrateMbps: 1 + rng.int(USERS_MOST_MBPS),
    }
  }
  return {
    kind: 'compression',
    vmafThreshold: pick(rng, settings.thresholds),
    codec: pick(rng, settings.codecs),
    mode: pick(rng, settings.modes),
    targetBitrateMbps: pick(rng, settings.bitratesMbps),
  }
}

function drawUpscaling(rng: Rng, settings: PlanSettings): RoundTask {
  const total = settings.taskTypes.reduce((sum, type) => sum + type.weight, 0)
  let left = rng.float() * total
  const type = settings.taskTypes.find((candidate) => {
    left -= candidate.weight
    return left < 0
  })
  const { name, scale } = type ?? pick(rng, settings.taskTypes)
  return {
    kind: 'upscaling',
    taskType: name,
    scale,
    degradation: {
      blur: rounded(between(rng, 0, 0.4)),
      scaler: pick(rng, ['bicubic', 'bilinear', 'area'] as const),
      noise: rounded(between(rng, 0, 1.5)),
      noiseSeed: rng.int(2 ** 31),
      crf: 14 + rng.int(7),
      ...(rng.int(3) === 0
        ? {
            before: { codec: pick(rng, ['mpeg4', 'mpeg2video'] as const), quality: 2 + rng.int(2) },
          }
        : {}),
    },
  }
}

/** The round's first block: rounds of `everyBlocks` tile the chain, so validators open the same ones. */
export function roundBlock(head: number, everyBlocks: number): number {
  return head - (head % everyBlocks)
}
