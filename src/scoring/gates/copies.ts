/** How many numbers a sketch keeps. */
const BUCKETS = 1024

/**
 * A short signature of what a result got wrong: the residual (result − reference) of all frames,
 * added with pseudo-random signs into 1024 buckets. Inner products of sketches are those of the
 * residuals, give or take 3 %, so two results can be compared long after their frames are gone.
 */
export class ResidualSketch {
  readonly #buckets = new Float64Array(BUCKETS)
  #energy = 0

  add(frame: number, reference: Uint8Array, result: Uint8Array): void {
    let state = Math.imul(frame + 1, 0x9e3779b1) | 1
    for (let i = 0; i < result.length; i += 1) {
      const residual = (result[i] ?? 0) - (reference[i] ?? 0)
      // xorshift32: the same sequence for every result of one reference
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      if (residual === 0) continue
      const bucket = (state >>> 8) & (BUCKETS - 1)
      this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + (state & 1 ? residual : -residual)
      this.#energy += residual * residual
    }
  }

  /** Scaled to length 1, in units of 1/10000; empty for a result without any error. */
  values(): readonly number[] {
    const length = Math.sqrt(this.#buckets.reduce((total, value) => total + value * value, 0))
    if (length === 0) return []
    return [...this.#buckets].map((value) => Math.round((value / length) * 10_000))
  }

  /** Sum of squared errors, of all analysed pixels. */
  get energy(): number {
    return this.#energy
  }
}

/** What is kept of a result to recognise its copies. Valid among results of one reference only. */
export interface Fingerprint {
  readonly sha256: string
  /** Of the decoded frames at analysis size: survives a new container or new metadata. */
  readonly frames: string
  /** From {@link ResidualSketch}. */
  readonly residual: readonly number[]
}

export type Likeness =
  /** The same bytes, or the same pictures in another file. */
  | { readonly kind: 'same-file' | 'same-frames' }
  /** Errors as alike as only a re-encode of the other result has them. */
  | { readonly kind: 'derived'; readonly similarity: number }
  | { readonly kind: 'independent'; readonly similarity: number }

/**
 * Likeness of errors from which one result must have been made from the other. Honest encodes of
 * one encoder at neighbouring settings stay below 0.66, a re-encode with noise is above 0.81.
 */
export const DERIVED_SIMILARITY = 0.75

/**
 * Compares two results of one reference. Encoders are deterministic: two honest miners with equal
 * settings send the same file, so `same-file` and `same-frames` are facts to be weighed with time
 * and order of arrival, not verdicts. File sizes are never looked at.
 */
export function compareFingerprints(a: Fingerprint, b: Fingerprint): Likeness {
  if (a.sha256 === b.sha256) return { kind: 'same-file' }
  if (a.frames === b.frames) return { kind: 'same-frames' }
  let dot = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < BUCKETS; i += 1) {
    const [x, y] = [a.residual[i] ?? 0, b.residual[i] ?? 0]
    dot += x * y
    aa += x * x
    bb += y * y
  }
  const similarity = aa > 0 && bb > 0 ? dot / Math.sqrt(aa * bb) : 0
  return { kind: similarity >= DERIVED_SIMILARITY ? 'derived' : 'independent', similarity }
}

export interface Arrival {
  readonly id: string
  readonly arrivedAtMs: number
  readonly fingerprint: Fingerprint
}

export interface Copy {
  /** The result that was there first. */
  readonly of: string
  readonly likeness: Likeness
}

/**
 * Finds which results of one reference were made from another miner's: of two alike, the later.
 * Identical results only count where `identical` says `copy`, since equal settings make them.
 *
 * @returns id of each copy → what it was made from
 */
export function findCopies(
  arrivals: readonly Arrival[],
  options: { readonly identical?: 'allow' | 'copy' } = {},
): ReadonlyMap<string, Copy> {
  const { identical = 'allow' } = options
  const originals: Arrival[] = []
  const copies = new Map<string, Copy>()
  const inOrder = [...arrivals].sort((a, b) => a.arrivedAtMs - b.arrivedAtMs)
  for (const arrival of inOrder) {
    const source = originals
      .map((original) => ({
        of: original.id,
        likeness: compareFingerprints(original.fingerprint, arrival.fingerprint),
      }))
      .find(
        ({ likeness }) =>
          likeness.kind === 'derived' || (identical === 'copy' && likeness.kind !== 'independent'),
      )
    if (source === undefined) originals.push(arrival)
    else copies.set(arrival.id, source)
  }
  return copies
}
