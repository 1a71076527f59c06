import { rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { must } from '../../lib/errors.js'
import { mapLimit } from '../../lib/loop.js'
import type { Analysis } from './analyse.js'
import { type Effort, THOROUGH_FACTOR } from './encoders.js'
import { FIRST_LOOK, type FindOptions, type Found, findCrf, firstLook } from './find-crf.js'
import { Lab, type LabOptions, pooled } from './lab.js'
import { type Quality, VMAF_MODELS } from './meter.js'
import { cutPieces, joinPieces } from './pieces.js'
import { crfAfter, type SearchGoal } from './search.js'
import { countFrames, type Source } from './source.js'

export interface SceneOptions extends Omit<FindOptions, 'goal'> {
  /** The search for one scene; its start comes from the scene's own facts. */
  readonly goalOf: (facts: Analysis['facts'], effort: Effort) => SearchGoal
  /** Scenes may be left to the thorough encoder where there is time. */
  readonly mayTryHarder: boolean
}

export interface ScenesFound extends Found {
  readonly scenes: number
  /** In clip-lengths. */
  readonly encodes: number
}

const CORES_PER_SCENE = 4
/** Scenes whose CRFs differ by less, in ln(101 − quality): one encode for all may cost less than the key frames between. */
const SAME_BEND = 0.1
/** Encodes by the thorough encoder that a scene takes after its first look. */
const THOROUGH_ENCODES = 2

/** Milliseconds per frame, as far as scenes have shown. */
interface Pace {
  encode: number
  measure: number
  /** What a thorough encode takes of a usual one. */
  thorough: number
}

/** The search of one scene: where, from where on, and how hard. */
interface SceneSearch {
  readonly lab: Lab
  readonly goal: SearchGoal
}

/**
 * A CRF for every scene, so that each meets the target by itself, joined at the cuts. Scenes are cut
 * losslessly from one decode and searched side by side; each begins with a usual encode, which tells whether
 * there is time for thorough ones. Where all want nearly the same CRF, the lowest of them is tried on the
 * whole, and the smaller file wins.
 */
export async function findScenes(
  lab: LabOptions,
  analysis: Analysis,
  options: SceneOptions,
): Promise<ScenesFound> {
  const { source, workDir, signal, tools, meter, encoder, settings } = lab
  const pieces = await cutPieces(source, analysis.shots, workDir, { ...tools, signal })
  const parallel = Math.max(1, Math.floor(availableParallelism() / CORES_PER_SCENE))
  const pace: Pace = { encode: 0, measure: 0, thorough: THOROUGH_FACTOR }
  // How far the prediction was off in one scene of a clip tells of the next.
  const learned: Record<Effort, number> = { quick: 0, normal: 0, thorough: 0 }
  let framesLeft = source.frames
  let encodes = 0

  const msOf = (frames: number, perFrame: number) => (frames / parallel) * perFrame
  /** What is certain to follow when `frames` are still to be searched. */
  const laterMs = (frames: number) =>
    msOf(frames, pace.encode + pace.measure / FIRST_LOOK) + 1.5 * source.frames * pace.measure
  const begin = (piece: Source, i: number, effort: Effort): SceneSearch => {
    const { start, end } = must(analysis.shots[i], 'a shot for each piece')
    const goal = options.goalOf(analysis.facts.slice(start, end), effort)
    const label = `scene-${i}-${effort}`
    const own = { ...lab, source: piece, settings: { ...settings, effort }, label }
    const shifted = Math.min(goal.max, Math.max(goal.min, goal.start + learned[effort]))
    return { lab: new Lab({ ...own, chunks: undefined }), goal: { ...goal, start: shifted } }
  }
  const harder = async (usual: SceneSearch, piece: Source, i: number) => {
    const first = await firstLook(usual.lab, { ...options, goal: usual.goal })
    pace.encode = usual.lab.encodeMs / piece.frames
    pace.measure = (FIRST_LOOK * usual.lab.measureMs) / piece.frames
    const perFrame = pace.thorough * pace.encode + pace.measure
    const ms = THOROUGH_ENCODES * msOf(framesLeft, perFrame) + laterMs(0)
    if (!options.mayTake(ms)) return undefined
    const { lab: thorough, goal } = begin(piece, i, 'thorough')
    // What the usual encode says of the clip holds for the thorough one too.
    const off = crfAfter([first], usual.goal) - usual.goal.start
    const start = Math.min(goal.max, Math.max(goal.min, goal.start + off))
    return { lab: thorough, goal: { ...goal, start, usual: goal.usual - 1 } }
  }

  const found = await mapLimit(pieces, parallel, async (piece, i) => {
    const share = piece.frames / source.frames
    const usual = begin(piece, i, settings.effort)
    const other = options.mayTryHarder ? await harder(usual, piece, i) : undefined
    const { lab: scene, goal } = other ?? usual
    const result = await findCrf(scene, {
      ...options,
      mayTake: (ms) => options.mayTake(ms + laterMs(framesLeft - piece.frames)),
      maxSizeBytes: (options.maxSizeBytes ?? Number.POSITIVE_INFINITY) * share,
      goal,
    })
    const { effort } = scene.options.settings
    learned[effort] += (result.candidate.crf - goal.start) / 2
    if (other !== undefined) pace.thorough = scene.encodeMs / usual.lab.encodeMs
    const labs = other === undefined ? [scene] : [usual.lab, scene]
    encodes += labs.reduce((sum, each) => sum + each.encodes, 0) * share
    framesLeft -= piece.frames
    const kept = result.candidate.path
    await Promise.all(
      labs
        .flatMap(({ candidates }) => candidates)
        .map(({ path }) => (path === kept ? undefined : rm(path, { force: true }))),
    )
    await rm(piece.path, { force: true })
    return { ...result, effort }
  })
  const joined = join(workDir, 'scenes.mp4')
  const paths = found.map(({ candidate }) => candidate.path)
  await joinPieces(paths, joined, workDir, { ...tools, signal })
  const whole = await meter.measure(source.path, joined, {
    ...{ every: 1, models: VMAF_MODELS },
    ...{ signal, workDir },
  })
  const frames = await countFrames(joined, { ...tools, signal })
  const scenes = worst(whole, analysis, lab)
  const crfs = found.map(({ candidate }) => candidate.crf)
  const result: ScenesFound = {
    candidate: {
      crf: Math.min(...crfs),
      path: joined,
      sizeBytes: (await stat(joined)).size,
      measured: new Map([[1, whole]]),
    },
    quality: scenes,
    passed: frames === source.frames && found.every(({ passed }) => passed),
    points: found.flatMap(({ points }) => points),
    scenes: pieces.length,
    encodes,
  }
  const near = (Math.max(...crfs) - Math.min(...crfs)) * encoder.slope <= SAME_BEND
  if (!near && result.passed) return result
  const lowest = must(
    found.find(({ candidate }) => candidate.crf === result.candidate.crf),
    'the scene of the lowest CRF',
  )
  const factor = lowest.effort === settings.effort ? 1 : pace.thorough
  if (!options.mayTake(source.frames * (factor * pace.encode + 1.5 * pace.measure))) return result
  const again = { ...lab, settings: { ...settings, effort: lowest.effort } }
  return (await single(again, analysis, options, result)) ?? result
}

/** One CRF for all, when that is smaller or when joining went wrong. */
async function single(
  options: LabOptions,
  analysis: Analysis,
  { goalOf }: SceneOptions,
  joined: ScenesFound,
): Promise<ScenesFound | undefined> {
  const lab = new Lab({ ...options, label: 'single' })
  const { crf } = joined.candidate
  const candidate = await lab.encode(crf)
  if (joined.passed && candidate.sizeBytes >= joined.candidate.sizeBytes) return undefined
  await lab.complete(crf)
  const whole = candidate.measured.get(1) ?? {}
  const quality = worst(whole, analysis, options)
  const passed = quality >= goalOf(analysis.facts, options.settings.effort).target
  if (joined.passed && !passed) return undefined
  return {
    candidate,
    quality,
    passed,
    points: joined.points,
    scenes: 1,
    encodes: joined.encodes + 1,
  }
}

/** The objective's value of the worst scene. */
function worst(whole: Quality, { shots }: Analysis, { objective }: LabOptions): number {
  const part = (shot: { start: number; end: number }) =>
    Object.fromEntries(
      VMAF_MODELS.map((model) => [model, whole[model]?.slice(shot.start, shot.end)]),
    )
  return Math.min(...shots.map((shot) => pooled(part(shot), objective)))
}
