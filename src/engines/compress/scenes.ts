import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { must } from '../../lib/errors.js'
import type { Analysis } from './analyse.js'
import type { Found } from './find-crf.js'
import { Lab, type LabOptions, pooled } from './lab.js'
import { type Quality, VMAF_MODELS } from './meter.js'
import { cutPieces, joinPieces } from './pieces.js'
import { type SceneOptions, SceneSearch } from './scene-search.js'
import { countFrames } from './source.js'

export interface ScenesFound extends Found {
  readonly scenes: number
  /** In clip-lengths. */
  readonly encodes: number
}

/** Scenes whose CRFs differ by less, in ln(101 − quality): one encode for all may cost less than the key frames between. */
const SAME_BEND = 0.1
/** Encodes of a clip that a search should not exceed. */
const MAX_ENCODES = 4

/**
 * A CRF for every scene, so that each meets the target by itself, joined at the cuts. Scenes are cut
 * losslessly from one decode. Where all want nearly the same CRF, the lowest of them is tried on the whole, and the
 * smaller file wins.
 */
export async function findScenes(
  lab: LabOptions,
  analysis: Analysis,
  options: SceneOptions,
): Promise<ScenesFound> {
  const { source, workDir, signal, tools, meter, encoder, settings } = lab
  const pieces = await cutPieces(source, analysis.shots, workDir, { ...tools, signal })
  const search = new SceneSearch(lab, analysis, options)
  const found = await search.run(pieces)
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
    encodes: search.encodes,
  }
  const near = (Math.max(...crfs) - Math.min(...crfs)) * encoder.slope <= SAME_BEND
  if (result.passed && (!near || search.encodes + 1 > MAX_ENCODES)) return result
  const { effort } = must(
    found.find(({ candidate }) => candidate.crf === result.candidate.crf),
    'the scene of the lowest CRF',
  )
  if (!options.mayTake(search.wholeMs(effort))) return result
  const again = { ...lab, settings: { ...settings, effort } }
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
