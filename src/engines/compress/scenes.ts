import { rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { mapLimit } from '../../lib/loop.js'
import type { Analysis } from './analyse.js'
import { type FindOptions, type Found, findCrf } from './find-crf.js'
import { Lab, type LabOptions, pooled } from './lab.js'
import { type Quality, VMAF_MODELS } from './meter.js'
import { cutPieces, joinPieces } from './pieces.js'
import type { SearchGoal } from './search.js'
import { countFrames } from './source.js'

export interface SceneOptions extends Omit<FindOptions, 'goal'> {
  /** The search for one scene; its start comes from the scene's own facts. */
  readonly goalOf: (facts: Analysis['facts']) => SearchGoal
}

export interface ScenesFound extends Found {
  readonly scenes: number
  /** In clip-lengths. */
  readonly encodes: number
}

const CORES_PER_SCENE = 4
/** Scenes whose CRFs differ by less, in ln(101 − quality): one encode for all may cost less than the key frames between. */
const SAME_BEND = 0.1

/**
 * A CRF for every scene, so that each meets the target by itself, joined at the cuts. Scenes are cut
 * losslessly from one decode and searched side by side. Where all want nearly the same CRF, the
 * lowest of them is tried on the whole, and the smaller file wins.
 */
export async function findScenes(
  lab: LabOptions,
  analysis: Analysis,
  options: SceneOptions,
): Promise<ScenesFound> {
  const { source, workDir, signal, tools, meter, encoder } = lab
  const pieces = await cutPieces(source, analysis.shots, workDir, { ...tools, signal })
  const parallel = Math.max(1, Math.floor(availableParallelism() / CORES_PER_SCENE))
  let learned = 0
  let encodes = 0
  const found = await mapLimit(pieces, parallel, async (piece, i) => {
    const shot = analysis.shots[i]
    const goal = options.goalOf(analysis.facts.slice(shot?.start, shot?.end))
    const scene = new Lab({ ...lab, source: piece, label: `scene-${i}`, chunks: undefined })
    const start = Math.min(goal.max, Math.max(goal.min, goal.start + learned))
    const share = piece.frames / source.frames
    const result = await findCrf(scene, {
      ...options,
      maxSizeBytes: (options.maxSizeBytes ?? Number.POSITIVE_INFINITY) * share,
      goal: { ...goal, start },
    })
    // How far the prediction was off in one scene of a clip tells of the next.
    learned = (learned + result.candidate.crf - goal.start) / 2
    encodes += scene.encodes * share
    const kept = result.candidate.path
    await Promise.all(
      scene.candidates.map(({ path }) => (path === kept ? undefined : rm(path, { force: true }))),
    )
    await rm(piece.path, { force: true })
    return result
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
  return (await single(lab, analysis, options, Math.min(...crfs), result)) ?? result
}

/** One CRF for all, when that is smaller or when joining went wrong. */
async function single(
  options: LabOptions,
  analysis: Analysis,
  { mayTake, goalOf }: SceneOptions,
  crf: number,
  joined: ScenesFound,
): Promise<ScenesFound | undefined> {
  const lab = new Lab({ ...options, label: 'single' })
  if (!mayTake(0)) return undefined
  const candidate = await lab.encode(crf)
  if (joined.passed && candidate.sizeBytes >= joined.candidate.sizeBytes) return undefined
  await lab.complete(crf)
  const whole = candidate.measured.get(1) ?? {}
  const quality = worst(whole, analysis, options)
  const passed = quality >= goalOf(analysis.facts).target
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
