import { createHash, type Hash } from 'node:crypto'
import { Resources } from '../../lib/resources.js'
import {
  FrameReader,
  type MediaInfo,
  type MediaTools,
  type VideoStreamInfo,
} from '../../media/index.js'
import { ScoringError } from '../errors.js'
import { ContentComparison, measureReference, type ReferenceFrame } from './content.js'
import { planesOf } from './planes.js'

/** Results longer than the reference are read this far beyond it, then left. */
const SURPLUS_FRAMES = 5

export interface AnalyseOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
}

export interface AnalysedResult {
  readonly comparison: ContentComparison
  /** Frames the decoder delivered, at most 5 more than the reference's. */
  readonly frames: number
  /** Hash of the decoded frames at analysis size. */
  readonly framesSha256: string
  /** Why decoding stopped early, if it did. */
  readonly error: unknown
}

export interface Analysis {
  readonly referenceFrames: number
  readonly results: readonly AnalysedResult[]
}

/** At most 320 wide, even, the aspect kept. */
export function analysisSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, 320 / width)
  const even = (value: number): number => Math.max(2, Math.round((value * scale) / 2) * 2)
  return { width: even(width), height: even(height) }
}

/** A decoder of one result, and what it has shown so far. */
class Follower {
  readonly comparison = new ContentComparison()
  readonly hash: Hash = createHash('sha256')
  readonly reader: FrameReader | undefined
  readonly buffer: Uint8Array
  frames = 0
  error: unknown
  #ended = false

  constructor(reader: FrameReader | undefined, buffer: Uint8Array, error: unknown) {
    this.reader = reader
    this.buffer = buffer
    this.error = error
  }

  async next(): Promise<boolean> {
    if (this.reader === undefined || this.#ended) return false
    try {
      this.#ended = !(await this.reader.readInto(this.buffer))
    } catch (error) {
      this.error = error
      this.#ended = true
    }
    if (this.#ended) return false
    this.frames += 1
    this.hash.update(this.buffer)
    return true
  }
}

/**
 * Decodes the reference and all results side by side at analysis size, once each, in memory that
 * does not grow with the clip. A result that cannot be decoded carries its error; an unreadable
 * reference throws.
 */
export async function analyse(
  reference: {
    readonly path: string
    readonly info: MediaInfo & { readonly video: VideoStreamInfo }
  },
  results: readonly string[],
  options: AnalyseOptions,
): Promise<Analysis> {
  const size = analysisSize(reference.info.video.width, reference.info.video.height)
  const read = {
    ...options,
    ...size,
    pixelFormat: 'yuv420p',
    filter: `scale=${size.width}:${size.height}:flags=area`,
    threads: 1,
  } as const
  await using opened = new Resources()
  const referenceReader = opened.use('reference', await FrameReader.open(reference.path, read))
  const followers = await Promise.all(
    results.map(async (path) => {
      const buffer = new Uint8Array(referenceReader.frameBytes)
      try {
        return new Follower(opened.use(path, await FrameReader.open(path, read)), buffer, undefined)
      } catch (error) {
        options.signal?.throwIfAborted()
        return new Follower(undefined, buffer, error)
      }
    }),
  )
  let referenceFrames = 0
  let previous: ReferenceFrame | undefined
  for (;;) {
    const data = new Uint8Array(referenceReader.frameBytes)
    if (!(await referenceReader.readInto(data))) break
    referenceFrames += 1
    const frame = measureReference(planesOf(data, size.width, size.height), previous)
    previous = frame
    await Promise.all(
      followers.map(async (follower) => {
        if (await follower.next()) {
          follower.comparison.add(frame, planesOf(follower.buffer, size.width, size.height))
        }
      }),
    )
  }
  if (referenceFrames === 0) {
    throw new ScoringError(
      { code: 'SCORING_REFERENCE_UNUSABLE', detail: 'no frame could be decoded' },
      'the reference has no frame that decodes: give another reference',
    )
  }
  for (const follower of followers) {
    let surplus = 0
    while (surplus < SURPLUS_FRAMES && (await follower.next())) surplus += 1
  }
  options.signal?.throwIfAborted()
  return {
    referenceFrames,
    results: followers.map((follower) => ({
      comparison: follower.comparison,
      frames: follower.frames,
      framesSha256: follower.hash.digest('hex'),
      error: follower.error,
    })),
  }
}
