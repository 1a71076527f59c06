import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, Deadline, SystemClock } from '../../lib/clock.js'
import { isAbort } from '../../lib/errors.js'
import { sha256OfFile } from '../../lib/hash.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { MediaError, type MediaTools, probeVideo, type VideoStreamInfo } from '../../media/index.js'
import { mux } from '../mux.js'
import { trialClip } from '../trial.js'
import type { CompressParams, CompressResult, Engine, EngineContext } from '../types.js'
import { type Analysis, analyse } from './analyse.js'
import { EncoderShelf } from './choose-encoder.js'
import { workingCopy } from './copies.js'
import type { Effort, Encoder } from './encoders.js'
import { FIRST_LOOK, type FindOptions, type Found, findCrf, firstLook } from './find-crf.js'
import { Lab, type LabOptions, pooled } from './lab.js'
import { ProbeMemory } from './memory.js'
import { pool, type QualityMeter } from './meter.js'
import { chunkRanges, cutSample, sampleWindows } from './pieces.js'
import { capKbpsOf, firstEffort, objectiveOf, sizeCap } from './plan.js'
import { type CrfModel, featuresOf, loadCrfModel, negAt, predictStart } from './predict.js'
import { findScenes } from './scenes.js'
import { crfAfter, type SearchGoal, slopeOf, snapDown } from './search.js'
import { checkSource, type Source } from './source.js'
import { Splicer } from './splice.js'

export interface CompressEngineOptions {
  readonly meter: QualityMeter
  readonly tools?: MediaTools
  readonly clock?: Clock
  /** Use a GPU encoder when one works: faster, more bytes. Default false. */
  readonly hardware?: boolean
  /** For tasks that ask for none; when absent, what the time allows. */
  readonly effort?: Effort | undefined
}

/** Above the threshold, so that another meter's last digits do not turn a pass into a miss. */
const MARGIN = 0.01
/** What may be given away above that before another probe is worth it, at 90: two percent of the bytes at most. */
const TOLERANCE = 0.2
const MAX_ENCODES = 6
/** Encodes after which the first good one is taken. */
const USUAL_ENCODES = 4
/** Longer clips are tried on a sample first: eight windows of a second and a half. */
const SAMPLE_ABOVE_SECONDS = 30
const SAMPLE_WINDOWS = 8
const SAMPLE_SECONDS = 1.5
const MAX_WHOLE_ENCODES = 3
/** From this length on, chunks are encoded side by side. */
const CHUNK_ABOVE_SECONDS = 1200
const CHUNK_SECONDS = 600
/** Frames after which x264 and x265 set a key frame without a cut. */
const KEY_INTERVAL = 250
/** Share of the remaining progress that one encode stands for. */
const ENCODE_PROGRESS = 0.4
/** How much longer a thorough encode takes than a normal one: 2.1 (VP9) to 4.5 times (x264, SVT-AV1) were seen. */
const THOROUGH_FACTOR = 5
/** Of the time left, what the first encode may take before a quicker one takes its place. */
const FIRST_SHARE = 0.4

interface Answer extends Found {
  readonly scenes: number
  /** In clip-lengths. */
  readonly encodes: number
}

/** One clip being compressed: everything that its searches share. */
interface Task {
  /** SHA-256 of the file as it came. */
  readonly content: string
  readonly params: CompressParams
  readonly analysis: Analysis
  readonly lab: LabOptions
  readonly find: Omit<FindOptions, 'goal'>
  /** Until an answer is due. */
  readonly leftMs: () => number
  readonly model: CrfModel
  readonly memory: ProbeMemory
}

/** Searches the cheapest encode that meets a VMAF threshold. */
export class CompressEngine implements Engine<CompressParams, CompressResult> {
  readonly name = 'vmaf-search'
  readonly #options: CompressEngineOptions
  readonly #tools: MediaTools
  readonly #clock: Clock
  readonly #shelf: EncoderShelf
  readonly #memory = new ProbeMemory()
  #model: CrfModel | undefined

  constructor(options: CompressEngineOptions) {
    this.#options = options
    this.#tools = options.tools ?? {}
    this.#clock = options.clock ?? new SystemClock()
    this.#shelf = new EncoderShelf(this.#tools)
  }

  /** Also measures a few frames. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#shelf.pick('h264', false, signal)
    this.#model ??= await loadCrfModel()
    await using folder = await tempFolder('subreel-compress-')
    const workDir = folder.path
    const clip = await trialClip(workDir, { ...this.#tools, signal })
    await this.#options.meter.measure(clip, clip, { every: 1, models: ['neg'], signal, workDir })
  }

  async run(
    input: { readonly path: string; readonly params: CompressParams },
    context: EngineContext,
  ): Promise<CompressResult> {
    const deadline = this.#clock.monotonic() + (input.params.budgetMs ?? Number.POSITIVE_INFINITY)
    const leftMs = () => deadline - this.#clock.monotonic()
    const { effort } = this.#options
    const params = { ...(effort === undefined ? {} : { effort }), ...input.params }
    const { path } = input
    const { signal, workDir } = context
    const tools = { ...this.#tools, signal }
    const info = await probeVideo(path, tools)
    checkSource(info.video)
    const { source, analysis } = await decoded(path, info.video, workDir, tools)
    const encoder = await this.#shelf.pick(params.codec, this.#options.hardware ?? false, signal)
    this.#model ??= await loadCrfModel()
    const task: Task = {
      params,
      analysis,
      content: await sha256OfFile(path, signal),
      model: this.#model,
      memory: this.#memory,
      lab: this.#lab(source, encoder, analysis, params, context),
      leftMs,
      find: {
        mayTake: (ms) => ms < leftMs(),
        maxEncodes: MAX_ENCODES,
        maxSizeBytes: sizeCap(params, source),
      },
    }
    const answer = await solve(task)
    const output = join(workDir, 'compressed.mp4')
    const partial = join(workDir, 'muxed.mp4')
    await mux(answer.candidate.path, path, info, partial, tools)
    await rename(partial, output)
    context.onProgress?.(1)
    return this.#result(output, answer, encoder, source)
  }

  #lab(
    source: Source,
    encoder: Encoder,
    analysis: Analysis,
    params: CompressParams,
    context: EngineContext,
  ): LabOptions {
    const { num, den } = source.video.fps
    const seconds = (source.frames * den) / num
    let done = 0
    let last = 0
    const capKbps = capKbpsOf(params)
    return {
      source,
      encoder,
      settings: {
        effort: firstEffort(params, encoder, source),
        tuned: params.tune !== 'none',
        ...(capKbps === undefined ? {} : { capKbps }),
        ...(context.gpu === undefined ? {} : { gpu: context.gpu }),
      },
      meter: this.#options.meter,
      objective: objectiveOf(params),
      tools: this.#tools,
      workDir: context.workDir,
      signal: context.signal,
      label: 'whole',
      clock: this.#clock,
      chunks:
        seconds < CHUNK_ABOVE_SECONDS
          ? undefined
          : chunkRanges(analysis.shots, Math.round((CHUNK_SECONDS * num) / den)),
      onProgress: (fraction) => {
        // Nobody knows how many encodes it takes: each covers a part of what is left.
        if (fraction < last) done += (0.95 - done) * ENCODE_PROGRESS
        last = fraction
        context.onProgress?.(done + (0.95 - done) * ENCODE_PROGRESS * fraction)
      },
    }
  }

  async #result(
    path: string,
    answer: Answer,
    encoder: Encoder,
    source: Source,
  ): Promise<CompressResult> {
    const { size: sizeBytes } = await stat(path)
    const whole = answer.candidate.measured.get(1)
    const { width, height } = source.video
    return {
      path,
      engine: this.name,
      encoder: encoder.name,
      codec: encoder.codec,
      width,
      height,
      frames: source.frames,
      sizeBytes,
      vmaf: whole?.base === undefined ? undefined : pool(whole.base, 'harmonic'),
      vmafNeg: whole?.neg === undefined ? undefined : pool(whole.neg, 'harmonic'),
      quality: answer.quality,
      metThreshold: answer.passed,
      encodes: answer.encodes,
      crf: answer.scenes === 1 ? answer.candidate.crf : undefined,
      scenes: answer.scenes,
    }
  }

  async close(): Promise<void> {
    await this.#options.meter.close?.()
  }
}

/** The clip and what it is like, from one decode where its pictures can be kept. */
async function decoded(
  path: string,
  video: VideoStreamInfo,
  workDir: string,
  options: MediaTools & { readonly signal: AbortSignal },
): Promise<{ readonly source: Source; readonly analysis: Analysis }> {
  const file = { path, frames: video.frames, video }
  const copy = await workingCopy(file, workDir)
  if (copy !== undefined) {
    const analysis = await analyse(path, video, { ...options, ...copy.output }).catch((error) => {
      if (isAbort(error) || !(error instanceof MediaError)) throw error
      return undefined
    })
    if (analysis?.frames === video.frames) return { source: { ...file, path: copy.path }, analysis }
    await rm(copy.path, { recursive: true, force: true })
  }
  const analysis = await analyse(path, video, options)
  return { source: { ...file, frames: analysis.frames }, analysis }
}

function goalFor(
  { params, model, lab }: Task,
  facts: Analysis['facts'],
  effort: Effort = lab.settings.effort,
): SearchGoal {
  const { encoder } = lab
  const target = Math.min(99, params.vmafThreshold + MARGIN)
  const neg = params.model === 'base' ? negAt(target) : target
  return {
    ...encoder.grid,
    ...predictStart(model, encoder, effort, featuresOf(facts), neg),
    target,
    // A VMAF costs the fewer bytes the lower it is.
    tolerance: (TOLERANCE * (101 - target)) / 11,
    usual: USUAL_ENCODES,
  }
}

/** The way that fits the clip: scene by scene, on a sample first, or on the whole at once. */
async function solve(task: Task): Promise<Answer> {
  const { params, analysis, lab, find } = task
  if (params.goal === 'worst-scene' && analysis.shots.length > 1) {
    const goalOf = (facts: Analysis['facts'], effort: Effort) => goalFor(task, facts, effort)
    return findScenes(lab, analysis, { ...find, goalOf, mayTryHarder: mayTryHarder(task) })
  }
  const { fps } = lab.source.video
  const seconds = (analysis.frames * fps.den) / fps.num
  const fresh = goalFor(task, analysis.facts)
  const goal = known(task, fresh)
  if (goal === fresh && seconds > SAMPLE_ABOVE_SECONDS) return solveBySample(task, goal)
  const whole = new Lab(lab)
  const other = await otherEffort(task, whole, goal)
  if (other === undefined) return search(task, goal, whole)
  const resumed = known(other.task, other.goal)
  const found = await search(other.task, resumed, new Lab(other.task.lab))
  return { ...found, encodes: found.encodes + whole.encodes }
}

/** The goal, beginning at what is known of the clip from before. */
function known({ lab, memory, content }: Task, goal: SearchGoal): SearchGoal {
  return memory.resume(memory.keyOf(lab, content), goal)
}

/** A capped rate is spread over the whole; packets are joined at even times; and there must be where to join. */
const mayBeSpliced = ({ analysis: { shots, frames }, lab }: Task): boolean =>
  lab.source.video.evenlySpaced &&
  lab.settings.capKbps === undefined &&
  lab.chunks === undefined &&
  (shots.length > 1 || frames > KEY_INTERVAL)

async function search(
  task: Task,
  goal: SearchGoal,
  whole: Lab,
  maxEncodes = MAX_ENCODES,
): Promise<Answer> {
  const { lab, find, memory, content } = task
  const splicer = mayBeSpliced(task) ? new Splicer(whole, goal.target) : undefined
  const options = { ...find, maxEncodes, goal: { ...goal, mayMiss: splicer !== undefined } }
  const isClose = splicer && ((tolerance: number) => splicer.isClose(tolerance))
  let found = await findCrf(whole, { ...options, isClose })
  const spliced = find.mayTake(whole.measureMs) ? await splicer?.beat(found.candidate) : undefined
  // It may have ended for a splice that did not do: it goes on without.
  if (splicer !== undefined && spliced === undefined) found = await findCrf(whole, options)
  memory.keep(memory.keyOf(lab, content), goal, found)
  const { encodes } = whole
  if (spliced === undefined) return { ...found, encodes, scenes: 1 }
  const { candidate, parts } = spliced
  const quality = pooled(candidate.measured.get(1) ?? {}, lab.objective)
  return { ...found, encodes, candidate, quality, passed: true, scenes: parts }
}

async function solveBySample(task: Task, goal: SearchGoal): Promise<Answer> {
  const { analysis, lab } = task
  const { source, workDir, signal, tools } = lab
  const { fps } = source.video
  const length = Math.round((SAMPLE_SECONDS * fps.num) / fps.den)
  const windows = sampleWindows(analysis.frames, SAMPLE_WINDOWS, length)
  const sample = await cutSample(source, windows, workDir, { ...tools, signal })
  const labOn = (options: LabOptions, label: string) =>
    new Lab({ ...options, source: sample, label, chunks: undefined })
  const usual = labOn(lab, 'sample')
  const other = await otherEffort(task, usual, goal)
  const next = other ?? { task, goal }
  const trial = other === undefined ? usual : labOn(other.task.lab, 'sample-again')
  const hint = await findCrf(trial, { ...task.find, maxSizeBytes: undefined, goal: next.goal })
  const hinted = { ...goal, start: hint.candidate.crf, slope: slopeOf(hint.points, goal.slope) }
  const found = await search(next.task, hinted, new Lab(next.task.lab), MAX_WHOLE_ENCODES)
  const tried = trial.encodes + (other === undefined ? 0 : usual.encodes)
  return { ...found, encodes: found.encodes + (tried * sample.frames) / source.frames }
}

/** Whether the effort is ours to choose by the time that encodes take. */
const mayTryHarder = ({ params, lab }: Task): boolean =>
  params.effort === undefined && params.budgetMs !== undefined && lab.settings.effort === 'normal'

/**
 * One encode of the usual effort tells how long encodes take here. Where no effort was asked for, the
 * search is left to the thorough encoder when there is time to spare, and to the quick one when even this
 * would come late; it begins where that encode says. Undefined when the usual effort is right.
 */
async function otherEffort(
  task: Task,
  usual: Lab,
  goal: SearchGoal,
): Promise<{ readonly task: Task; readonly goal: SearchGoal } | undefined> {
  const { lab, find, model, leftMs } = task
  if (!mayTryHarder(task)) return undefined
  const searchWith = (effort: Effort, crf: number) => {
    const efforts = model.encoders[lab.encoder.name]?.efforts
    const start = crf + (efforts?.[effort] ?? 0) - (efforts?.normal ?? 0)
    const settings = { ...lab.settings, effort }
    const usualPoints = goal.usual - (effort === 'thorough' ? 1 : 0)
    return {
      task: { ...task, lab: { ...lab, settings, label: effort } },
      goal: { ...goal, start, usual: usualPoints },
    }
  }
  {
    using limit = new Deadline(leftMs() * FIRST_SHARE, lab.signal)
    try {
      await usual.encode(snapDown(goal.start, goal), limit.signal)
    } catch (error) {
      if (!limit.expired) throw error
      return searchWith('quick', goal.start)
    }
  }
  const first = await firstLook(usual, { ...find, goal })
  const longer = lab.source.frames / usual.options.source.frames
  const measureMs = FIRST_LOOK * usual.measureMs
  const thoroughMs = longer * (THOROUGH_FACTOR * usual.encodeMs + measureMs)
  const next = crfAfter([first], goal)
  if (find.mayTake(USUAL_ENCODES * thoroughMs)) return searchWith('thorough', next)
  // Tried on a sample: the whole is still to come, and may miss at first.
  const late = longer > 1 && !find.mayTake(2 * longer * (usual.encodeMs + measureMs))
  return late ? searchWith('quick', next) : undefined
}
