import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { tempFolder } from '../../lib/temp-folder.js'
import {
  fileUrl,
  hostileInput,
  listPackets,
  type MediaTools,
  probeVideo,
  runFfmpeg,
} from '../../media/index.js'
import { judged } from './find-crf.js'
import type { Candidate, Lab } from './lab.js'
import { type Pool, pool, VMAF_MODELS } from './meter.js'
import { joinPieces } from './pieces.js'

/** One encode between two key frames. */
export interface Take {
  readonly sizeBytes: number
  /** Quality of each frame, 0–100. */
  readonly frames: readonly number[]
}

/** What a frame adds to a pool: both are met when the sum of these is at least that of the target. */
const WORTH: Readonly<Record<Pool, (quality: number) => number>> = {
  mean: (quality) => quality,
  harmonic: (quality) => -1 / (1 + quality),
}
/** Combinations kept while stretches are added one by one. */
const MOST_KEPT = 4096

interface Partial {
  readonly sizeBytes: number
  readonly worth: number
  readonly picks: readonly number[]
}

/**
 * Which take to use for each stretch, so that all together meet the target with the fewest bytes;
 * undefined when none do. `takes[s][c]` is encode c of stretch s.
 */
export function chooseTakes(
  takes: readonly (readonly Take[])[],
  target: number,
  how: Pool,
): readonly number[] | undefined {
  const worthOf = WORTH[how]
  let kept: readonly Partial[] = [{ sizeBytes: 0, worth: 0, picks: [] }]
  let frames = 0
  for (const stretch of takes) {
    frames += stretch[0]?.frames.length ?? 0
    const options = stretch.map((take) => ({
      sizeBytes: take.sizeBytes,
      worth: take.frames.reduce((sum, quality) => sum + worthOf(quality), 0),
    }))
    const longer = kept.flatMap((one) =>
      options.map((option, pick) => ({
        sizeBytes: one.sizeBytes + option.sizeBytes,
        worth: one.worth + option.worth,
        picks: [...one.picks, pick],
      })),
    )
    kept = thin(undominated(longer))
  }
  const needed = frames * worthOf(target)
  return kept.find(({ worth }) => worth >= needed)?.picks
}

/** Smallest first, each better than all that are smaller. */
function undominated(all: readonly Partial[]): readonly Partial[] {
  let best = Number.NEGATIVE_INFINITY
  return [...all]
    .sort((a, b) => a.sizeBytes - b.sizeBytes || b.worth - a.worth)
    .filter(({ worth }) => {
      if (worth <= best) return false
      best = worth
      return true
    })
}

function thin(all: readonly Partial[]): readonly Partial[] {
  const step = Math.ceil(all.length / MOST_KEPT)
  // The last is the best of all, without which there may be no answer.
  return all.filter((_, i) => i % step === 0 || i === all.length - 1)
}

/** A saving below this is not worth another measurement. */
const MIN_SAVING = 0.002

/** An encode and its packets. */
interface Strip {
  readonly candidate: Candidate
  /** Bytes of each packet, in order. */
  readonly sizes: readonly number[]
  readonly keys: readonly number[]
}

interface Plan {
  readonly strips: readonly Strip[]
  /** Frames at which all encodes have a key frame. */
  readonly starts: readonly number[]
  /** For each stretch, the strip to take it from. */
  readonly picks: readonly number[]
  /** Of the picture. */
  readonly sizeBytes: number
  readonly quality: number
}

/**
 * Puts one file together from encodes that were made anyway, changing from one to another at key frames
 * they share. Quality jumps between neighbouring CRFs; this lands between them.
 */
export class Splicer {
  readonly #lab: Lab
  readonly #target: number
  readonly #strips = new Map<string, Promise<Strip>>()

  constructor(lab: Lab, target: number) {
    this.#lab = lab
    this.#target = target
  }

  /** Whether what is there can be put together within `tolerance` above the target. */
  async isClose(tolerance: number): Promise<boolean> {
    const plan = await this.#plan()
    return plan !== undefined && plan.quality - this.#target <= tolerance
  }

  /** A file with fewer bytes than `found` that meets the target, measured whole; undefined when there is none. */
  async beat(
    found: Candidate,
  ): Promise<{ readonly candidate: Candidate; readonly parts: number } | undefined> {
    const { source, workDir, meter, label } = this.#lab.options
    const plan = await this.#plan()
    if (plan === undefined) return undefined
    const strip = plan.strips.find(({ candidate }) => candidate.crf === found.crf)
    const sum = (strip?.sizes ?? []).reduce((all, size) => all + size, 0)
    if (plan.sizeBytes > sum * (1 - MIN_SAVING)) return undefined

    const path = join(workDir, `${label}-spliced.mp4`)
    await this.#join(plan, path)
    const quality = await meter.measure(source.path, path, {
      ...{ every: 1, models: VMAF_MODELS },
      ...{ signal: this.#options.signal, workDir },
    })
    const { size: sizeBytes } = await stat(path)
    const candidate = { ...found, path, sizeBytes, measured: new Map([[1, quality]]) }
    const reached = (judged(this.#lab, candidate, this.#target) ?? 0) >= this.#target
    const { video } = await probeVideo(path, this.#options)
    const complete = video.frames === source.frames && video.evenlySpaced
    if (!reached || !complete || sizeBytes >= found.sizeBytes) return undefined
    const parts = plan.picks.filter((pick, s) => pick !== plan.picks[s - 1]).length
    return { candidate, parts }
  }

  get #options(): MediaTools & { readonly signal: AbortSignal } {
    const { tools, signal } = this.#lab.options
    return { ...tools, signal }
  }

  /** The cheapest combination of all encodes measured whole; undefined when it is no combination. */
  async #plan(): Promise<Plan | undefined> {
    const { source, objective } = this.#lab.options
    const framesOf = ({ measured }: Candidate) => measured.get(1)?.[objective.model] ?? []
    const whole = this.#lab.candidates.filter((one) => framesOf(one).length === source.frames)
    if (whole.length < 2) return undefined
    const strips = await Promise.all(whole.map((candidate) => this.#strip(candidate)))
    const shared = strips[0]?.keys ?? []
    const starts = shared.filter((key) => strips.every(({ keys }) => keys.includes(key)))
    if (starts.length < 2 || strips.some(({ sizes }) => sizes.length !== source.frames)) {
      return undefined
    }
    const takes = starts.map((start, s) =>
      strips.map(({ candidate, sizes }) => ({
        sizeBytes: sizes.slice(start, starts[s + 1]).reduce((sum, size) => sum + size, 0),
        frames: framesOf(candidate).slice(start, starts[s + 1]),
      })),
    )
    const picks = chooseTakes(takes, this.#target, objective.pool)
    if (picks === undefined || new Set(picks).size < 2) return undefined
    const taken = picks.flatMap((pick, s) => takes[s]?.[pick] ?? [])
    return {
      ...{ strips, starts, picks },
      sizeBytes: taken.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      quality: pool(
        taken.flatMap(({ frames }) => frames),
        objective.pool,
      ),
    }
  }

  #strip(candidate: Candidate): Promise<Strip> {
    const known = this.#strips.get(candidate.path)
    if (known !== undefined) return known
    const reading = listPackets(candidate.path, this.#options).then((packets) => ({
      candidate,
      sizes: packets.map(({ sizeBytes }) => sizeBytes),
      keys: packets.flatMap(({ key }, i) => (key ? [i] : [])),
    }))
    this.#strips.set(candidate.path, reading)
    return reading
  }

  async #join({ strips, starts, picks }: Plan, output: string): Promise<void> {
    const { workDir } = this.#lab.options
    await using folder = await tempFolder('stretches-', workDir)
    for (const pick of new Set(picks)) {
      const input = strips[pick]?.candidate.path ?? ''
      await runFfmpeg(
        [
          ...[...hostileInput(input), '-map', '0:v:0', '-c', 'copy', '-f', 'segment'],
          ...['-segment_frames', starts.slice(1).join(','), '-segment_format', 'mp4'],
          // Without the second, pieces with B-frames begin two frames late.
          ...['-reset_timestamps', '1', '-avoid_negative_ts', 'disabled'],
          fileUrl(join(folder.path, `${pick}-%d.mp4`)),
        ],
        this.#options,
      )
    }
    const pieces = picks.map((pick, s) => join(folder.path, `${pick}-${s}.mp4`))
    await joinPieces(pieces, output, folder.path, this.#options)
  }
}
