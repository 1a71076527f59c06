import { rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { must } from '../../lib/errors.js'
import { mapLimit } from '../../lib/loop.js'
import type { Analysis } from './analyse.js'
import type { Effort } from './encoders.js'
import { type FindOptions, type Found, findCrf, firstLook } from './find-crf.js'
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
/** What such an encode takes of a usual one, until a scene has shown it. */
const THOROUGH_GUESS = 3.5
/** What both models of every frame take of a first look. */
const WHOLE_FACTOR = 2

/** Of the time that thorough encodes should take, what must be there: a late answer, or a scene that fails, costs more than they save. */
const SAFETY = 1.25
/** How much more a scene of few bytes may give away than one of many. */
const MOST_GENEROUS = 4

/** Milliseconds per frame, as far as scenes have shown. */
interface Pace {
  encode: number
  /** Both models, every frame. */
  measure: number
  /** What a thorough encode takes of a usual one. */
  thorough: number
}

/** A scene after its first look. */
interface Look {
  readonly index: number
  readonly piece: Source
  readonly lab: Lab
  readonly goal: SearchGoal
  /** Where to try next, above where the model would have begun. */
  readonly off: number
  readonly sizeBytes: number
}

/**
 * A CRF for every scene, so that each meets the target by itself, joined at the cuts. Scenes are cut
 * losslessly from one decode. Each begins with a usual encode, looked at in part; then they are searched side by side, those of
 * the most bytes first, by the thorough encoder as long as time for a usual encode of all others is left. Where all
 * want nearly the same CRF, the lowest of them is tried on the whole, and the smaller file wins.
 */
export async function findScenes(
  lab: LabOptions,
  analysis: Analysis,
  options: SceneOptions,
): Promise<ScenesFound> {
  const { source, workDir, signal, tools, meter, encoder, settings } = lab
  const pieces = await cutPieces(source, analysis.shots, workDir, { ...tools, signal })
  const parallel = Math.max(1, Math.floor(availableParallelism() / CORES_PER_SCENE))
  const pace: Pace = { encode: 0, measure: 0, thorough: THOROUGH_GUESS }
  // How far the prediction was off in one scene of a clip tells of the next.
  const learned: Record<Effort, number> = { quick: 0, normal: 0, thorough: 0 }
  let framesLeft = source.frames
  let encodes = 0

  const goalAt = (index: number, effort: Effort, off: number): SearchGoal => {
    const { start, end } = must(analysis.shots[index], 'a shot for each piece')
    const goal = options.goalOf(analysis.facts.slice(start, end), effort)
    return { ...goal, start: Math.min(goal.max, Math.max(goal.min, goal.start + off)) }
  }
  const labAt = (index: number, piece: Source, effort: Effort) => {
    const own = { settings: { ...settings, effort }, label: `scene-${index}-${effort}` }
    return new Lab({ ...lab, ...own, source: piece, chunks: undefined })
  }
  const looks = await mapLimit(pieces, parallel, async (piece, index): Promise<Look> => {
    const before = learned[settings.effort]
    const goal = goalAt(index, settings.effort, before)
    const usual = labAt(index, piece, settings.effort)
    const first = await firstLook(usual, { ...options, goal })
    const off = before + crfAfter([first], goal) - goal.start
    learned[settings.effort] = (before + off) / 2
    pace.encode += usual.encodeMs / source.frames
    pace.measure += (WHOLE_FACTOR * usual.measureMs) / source.frames
    const { sizeBytes = 0 } = usual.candidates[0] ?? {}
    return { ...{ index, piece, off, sizeBytes }, lab: usual, goal }
  })

  /** What is certain to follow when `frames` are still to be searched. */
  const laterMs = (frames: number) =>
    (frames / parallel) * (pace.encode + pace.measure) + source.frames * pace.measure
  const harder = ({ index, piece, off }: Look): Pick<Look, 'lab' | 'goal'> | undefined => {
    const perFrame = pace.thorough * pace.encode + pace.measure
    const ms = THOROUGH_ENCODES * piece.frames * perFrame + laterMs(framesLeft - piece.frames)
    if (!options.mayTryHarder || !options.mayTake(SAFETY * ms)) return undefined
    // What the usual encode says of the scene holds for the thorough one too.
    const goal = goalAt(index, 'thorough', off + learned.thorough)
    return { lab: labAt(index, piece, 'thorough'), goal: { ...goal, usual: goal.usual - 1 } }
  }
  const meanBytes = looks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / looks.length
  const order = [...looks].sort((one, other) => other.sizeBytes - one.sizeBytes)
  const searched = await mapLimit(order, parallel, async (look) => {
    const { index, piece } = look
    const other = harder(look)
    const { lab: scene, goal } = other ?? look
    const generous = Math.min(MOST_GENEROUS, Math.max(1, meanBytes / look.sizeBytes))
    const share = piece.frames / source.frames
    // Without time for two more encodes of each scene left, the next must pass.
    const isHurried = !options.mayTake(2 * laterMs(framesLeft))
    const usual = isHurried ? Math.min(2, goal.usual) : goal.usual
    const result = await findCrf(scene, {
      ...options,
      mayTake: (ms) => options.mayTake(ms + laterMs(framesLeft - piece.frames)),
      maxSizeBytes: (options.maxSizeBytes ?? Number.POSITIVE_INFINITY) * share,
      goal: { ...goal, usual, tolerance: goal.tolerance * generous },
    })
    if (other !== undefined) {
      learned.thorough += (result.candidate.crf - goal.start) / 2
      pace.thorough = scene.encodeMs / look.lab.encodeMs
    }
    const labs = other === undefined ? [scene] : [look.lab, scene]
    encodes += labs.reduce((sum, each) => sum + each.encodes, 0) * share
    framesLeft -= piece.frames
    const kept = result.candidate.path
    await Promise.all(
      labs
        .flatMap(({ candidates }) => candidates)
        .map(({ path }) => (path === kept ? undefined : rm(path, { force: true }))),
    )
    await rm(piece.path, { force: true })
    return { ...result, index, effort: scene.options.settings.effort }
  })
  const found = searched.sort((one, other) => one.index - other.index)
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
  if (!options.mayTake(source.frames * (factor * pace.encode + pace.measure))) return result
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
