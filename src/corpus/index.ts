import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { probe } from '../media/index.js'
import { type ChallengeOptions, makeLowResolution, makeReference, makeStill } from './challenge.js'
import { CorpusError } from './errors.js'
import type { CorpusClip, Cut, Degradation } from './types.js'

export { CorpusError } from './errors.js'
export type { CorpusClip, Cut, Degradation, Overlay, Variation } from './types.js'

interface Entry extends CorpusClip {
  readonly path: string
  readonly fps: string
}

const VIDEO_FILE = /\.(mp4|mov|mkv|webm)$/i
const MIN_SECONDS = 0.4

/**
 * Clips from which challenges are made. A challenge is a cut of a clip, changed in ways drawn from
 * a block, so that what a miner saw yesterday helps nothing today.
 */
export class Corpus {
  readonly clips: readonly CorpusClip[]
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #options: ChallengeOptions

  private constructor(entries: readonly Entry[], options: ChallengeOptions) {
    this.clips = entries.map(({ id, durationSeconds, width, height }) => ({
      id,
      durationSeconds,
      width,
      height,
    }))
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]))
    this.#options = options
  }

  /**
   * Reads a folder of videos (not its subfolders). Files that cannot be read are left out.
   * @throws CorpusError CORPUS_EMPTY
   */
  static async open(folder: string, options: ChallengeOptions = {}): Promise<Corpus> {
    const names = await readdir(folder).catch(() => [])
    const entries: Entry[] = []
    for (const name of names.filter((file) => VIDEO_FILE.test(file)).sort()) {
      const entry = await readEntry(name, join(folder, name), options)
      if (entry !== undefined) entries.push(entry)
    }
    if (entries.length === 0) throw empty(folder)
    return new Corpus(entries, options)
  }

  /** One video as a corpus of its own. @throws CorpusError CORPUS_EMPTY */
  static async of(path: string, options: ChallengeOptions = {}): Promise<Corpus> {
    const entry = await readEntry(basename(path), path, options)
    if (entry === undefined) throw empty(dirname(path))
    return new Corpus([entry], options)
  }

  /** A corpus without clips, for a validator whose rounds need none. */
  static empty(): Corpus {
    return new Corpus([], {})
  }

  /** Writes the clip of a compression challenge, which is also its reference. */
  async compression(clipId: string, cut: Cut, output: string): Promise<void> {
    await this.#reference(clipId, cut, 2, output)
  }

  /** Writes both sides of an upscaling challenge: the high-resolution reference and what miners get. */
  async upscaling(
    clipId: string,
    cut: Cut,
    scale: 2 | 4,
    degradation: Degradation,
    output: { readonly reference: string; readonly payload: string },
  ): Promise<void> {
    // Sides divisible by twice the scale: the small clip has even sides and scales back exactly.
    await this.#reference(clipId, cut, 2 * scale, output.reference)
    await makeLowResolution(output.reference, scale, degradation, output.payload, this.#options)
  }

  /** Writes one frame of a clip as PNG: what a generated video begins with. */
  async still(
    at: { readonly clipId: string; readonly atSeconds: number; readonly mirror: boolean },
    output: string,
  ): Promise<void> {
    const { path } = this.#entry(at.clipId)
    await makeStill(path, { seconds: at.atSeconds, mirror: at.mirror }, output, this.#options)
  }

  async #reference(clipId: string, cut: Cut, multiple: number, output: string): Promise<void> {
    const sourceOf = (id: string) => {
      const entry = this.#entry(id)
      return { path: entry.path, fps: entry.fps, clip: entry }
    }
    const overlaid = cut.variation.overlay
    const overlay = overlaid === undefined ? undefined : sourceOf(overlaid.clipId)
    await makeReference(sourceOf(clipId), cut, multiple, overlay, output, this.#options)
  }

  #entry(clipId: string): Entry {
    const entry = this.#entries.get(clipId)
    if (entry === undefined) {
      throw new CorpusError(
        { code: 'CORPUS_UNKNOWN_CLIP', clip: clipId },
        `clip ${clipId} is not in the corpus`,
      )
    }
    return entry
  }
}

/** Undefined for a file that is no video, or too short a one. */
async function readEntry(
  id: string,
  path: string,
  options: ChallengeOptions,
): Promise<Entry | undefined> {
  const info = await probe(path, options).catch(() => undefined)
  if (info?.video === undefined || info.durationSeconds < MIN_SECONDS) return undefined
  const { durationSeconds, video } = info
  const { width, height, fps } = video
  return { id, path, durationSeconds, width, height, fps: `${fps.num}/${fps.den}` }
}

function empty(folder: string): CorpusError {
  return new CorpusError(
    { code: 'CORPUS_EMPTY', folder },
    `${folder} holds no usable video; put at least one clip into it`,
  )
}
