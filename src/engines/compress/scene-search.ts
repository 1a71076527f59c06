import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { must } from '../../lib/errors.js'
import { mapLimit } from '../../lib/loop.js'
import type { Analysis } from './analyse.js'
import type { Effort } from './encoders.js'
import { type FindOptions, type Found, findCrf, firstLook } from './find-crf.js'
import { Lab, type LabOptions } from './lab.js'
import { crfAfter, type SearchGoal } from './search.js'
import type { Source } from './source.js'

export interface SceneOptions extends Omit<FindOptions, 'goal'> {
  /** The search for one scene; its start comes from the scene's own facts. */
  readonly goalOf: (facts: Analysis['facts'], effort: Effort) => SearchGoal
  /** Scenes may be left to the thorough encoder where there is time. */
  readonly mayTryHarder: boolean
}

export interface SceneFound extends Found {
  readonly effort: Effort
}

const CORES_PER_SCENE = 4
/** Encodes by the thorough encoder that a scene takes after its first look. */
const THOROUGH_ENCODES = 2
/** The same by the usual encoder. */
const USUAL_ENCODES = 2
/** What such an encode takes of a usual one, until a scene has shown it. */
const THOROUGH_GUESS = 3.5
/** What both models of every frame take of a first look. */
const WHOLE_FACTOR = 2
/** Of the time that a thorough search should take, what must be left: to be late, or to fail, costs more than it saves. */
const SAFETY = 1.25
/** How much more a scene of few bytes may give away than one of many. */
const MOST_GENEROUS = 4

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
 * Searches the scenes of a clip, side by side. Each begins with a usual encode, looked at in part. Then those of the
 * most bytes come first, by the thorough encoder as long as time for a usual search of all others is left.
 */
export class SceneSearch {
  readonly #lab: LabOptions
  readonly #analysis: Analysis
  readonly #options: SceneOptions
  readonly #parallel = Math.max(1, Math.floor(availableParallelism() / CORES_PER_SCENE))
  /** How far predictions were off so far: what one scene of a clip shows holds for the next. */
  #off = 0
  #thoroughOff = 0
  /** Milliseconds per frame of an encode and of both models, as far as seen. */
  #encodeMs = 0
  #measureMs = 0
  #thoroughFactor = THOROUGH_GUESS
  #framesLeft: number
  #encodes = 0

  constructor(lab: LabOptions, analysis: Analysis, options: SceneOptions) {
    this.#lab = lab
    this.#analysis = analysis
    this.#options = options
    this.#framesLeft = lab.source.frames
  }

  /** Made so far, in clip-lengths. */
  get encodes(): number {
    return this.#encodes
  }

  /** `pieces` are the shots of the analysis, in order. */
  async run(pieces: readonly Source[]): Promise<readonly SceneFound[]> {
    const looks = await mapLimit(pieces, this.#parallel, (piece, i) => this.#look(piece, i))
    const meanBytes = looks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / looks.length
    const order = [...looks].sort((one, other) => other.sizeBytes - one.sizeBytes)
    const found = await mapLimit(order, this.#parallel, async (look) => ({
      index: look.index,
      scene: await this.#search(look, Math.max(1, meanBytes / look.sizeBytes)),
    }))
    return found.sort((one, other) => one.index - other.index).map(({ scene }) => scene)
  }

  /** What one more encode of the whole takes, with its measurement. */
  wholeMs(effort: Effort): number {
    const factor = effort === this.#lab.settings.effort ? 1 : this.#thoroughFactor
    return this.#lab.source.frames * (factor * this.#encodeMs + this.#measureMs)
  }

  async #look(piece: Source, index: number): Promise<Look> {
    const { effort } = this.#lab.settings
    const { frames } = this.#lab.source
    const before = this.#off
    const goal = this.#goal(index, effort, before)
    const lab = this.#labFor(index, piece, effort)
    const first = await firstLook(lab, { ...this.#options, goal })
    const off = before + crfAfter([first], goal) - goal.start
    this.#off = (before + off) / 2
    this.#encodeMs += lab.encodeMs / frames
    this.#measureMs += (WHOLE_FACTOR * lab.measureMs) / frames
    const { sizeBytes } = must(lab.candidates[0], 'the encode just looked at')
    return { index, piece, lab, goal, off, sizeBytes }
  }

  async #search(look: Look, generosity: number): Promise<SceneFound> {
    const { piece } = look
    const { mayTake, maxSizeBytes = Number.POSITIVE_INFINITY } = this.#options
    const thorough = this.#thorough(look)
    const { lab, goal } = thorough ?? look
    const share = piece.frames / this.#lab.source.frames
    // Without time for two more encodes of each scene left, the next must pass.
    const isHurried = !mayTake(this.#laterMs(this.#framesLeft, 2))
    const usual = isHurried ? Math.min(2, goal.usual) : goal.usual
    const tolerance = goal.tolerance * Math.min(MOST_GENEROUS, generosity)
    const found = await findCrf(lab, {
      ...this.#options,
      mayTake: (ms) => mayTake(ms + this.#laterMs(this.#framesLeft - piece.frames)),
      maxSizeBytes: maxSizeBytes * share,
      goal: { ...goal, usual, tolerance },
    })
    if (thorough !== undefined) {
      this.#thoroughOff += (found.candidate.crf - goal.start) / 2
      this.#thoroughFactor = lab.encodeMs / look.lab.encodeMs
    }
    const labs = thorough === undefined ? [lab] : [look.lab, lab]
    this.#encodes += labs.reduce((sum, each) => sum + each.encodes, 0) * share
    this.#framesLeft -= piece.frames
    const made = labs.flatMap(({ candidates }) => candidates).map(({ path }) => path)
    const done = [piece.path, ...made.filter((path) => path !== found.candidate.path)]
    await Promise.all(done.map((path) => rm(path, { force: true })))
    return { ...found, effort: lab.options.settings.effort }
  }

  /** The search by the thorough encoder, where there is time; it begins where the usual encode says. */
  #thorough({ index, piece, off }: Look): Pick<Look, 'lab' | 'goal'> | undefined {
    const { mayTryHarder, mayTake } = this.#options
    const perFrame = this.#thoroughFactor * this.#encodeMs + this.#measureMs
    const ms = THOROUGH_ENCODES * piece.frames * perFrame
    const laterMs = this.#laterMs(this.#framesLeft - piece.frames, USUAL_ENCODES)
    if (!mayTryHarder || !mayTake(SAFETY * (ms + laterMs))) return undefined
    const goal = this.#goal(index, 'thorough', off + this.#thoroughOff)
    return { lab: this.#labFor(index, piece, 'thorough'), goal: { ...goal, usual: goal.usual - 1 } }
  }

  /** What follows when `frames` are still to be searched, each in so many encodes, and the whole to be measured. */
  #laterMs(frames: number, encodes = 1): number {
    const perFrame = encodes * (this.#encodeMs + this.#measureMs)
    return (frames / this.#parallel) * perFrame + this.#lab.source.frames * this.#measureMs
  }

  #goal(index: number, effort: Effort, off: number): SearchGoal {
    const { start, end } = must(this.#analysis.shots[index], 'a shot for each piece')
    const goal = this.#options.goalOf(this.#analysis.facts.slice(start, end), effort)
    return { ...goal, start: Math.min(goal.max, Math.max(goal.min, goal.start + off)) }
  }

  #labFor(index: number, source: Source, effort: Effort): Lab {
    const settings = { ...this.#lab.settings, effort }
    const label = `scene-${index}-${effort}`
    return new Lab({ ...this.#lab, source, settings, label, chunks: undefined })
  }
}
