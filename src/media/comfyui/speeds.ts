import { LruMap } from '../../lib/lru.js'

/** Weight of the newest measurement: a server that became slower is known after a few runs. */
const NEWEST = 0.3
const KINDS = 256
/** For work of which nothing is known, on a server of which nothing is known. */
const UNKNOWN_MS_PER_FRAME = 1000

interface Speed {
  readonly msPerFrame: number
  /** Measured while its models had to be loaded: too slow, and replaced by the next. */
  readonly cold: boolean
}

/** How fast one server does each kind of work, as measured. */
export class ServerSpeeds {
  readonly #kinds = new LruMap<string, Speed>(KINDS)
  #loadMs = 0
  #jobMs: number | undefined

  /** Time that a run took alone on the card, in milliseconds. */
  learn(run: { kind: string; frames: number; ms: number; cold: boolean }): void {
    this.#jobMs = blend(this.#jobMs, run.ms)
    const known = this.#kinds.get(run.kind)
    const msPerFrame = run.ms / run.frames
    if (run.cold && known !== undefined) {
      this.#loadMs = blend(this.#loadMs, Math.max(0, run.ms - known.msPerFrame * run.frames))
    } else if (known === undefined || known.cold || run.cold) {
      this.#kinds.set(run.kind, { msPerFrame, cold: run.cold })
    } else {
      this.#kinds.set(run.kind, { msPerFrame: blend(known.msPerFrame, msPerFrame), cold: false })
    }
  }

  /** Milliseconds per frame; undefined before the first run of the kind. */
  of(kind: string): number | undefined {
    return this.#kinds.get(kind)?.msPerFrame
  }

  /** To load other models than those in memory, in milliseconds. */
  get loadMs(): number {
    return this.#loadMs
  }

  /** A run of whatever kind; undefined before the first. */
  get jobMs(): number | undefined {
    return this.#jobMs
  }
}

/** Milliseconds per frame on a server: measured there, or else what the others need on average. */
export function expectedMsPerFrame(
  kind: string,
  own: ServerSpeeds,
  others: readonly ServerSpeeds[],
): number {
  const measured = own.of(kind)
  if (measured !== undefined) return measured
  const known = others.map((speeds) => speeds.of(kind)).filter((ms) => ms !== undefined)
  if (known.length === 0) return UNKNOWN_MS_PER_FRAME
  return known.reduce((sum, ms) => sum + ms, 0) / known.length
}

function blend(known: number | undefined, measured: number): number {
  return known === undefined ? measured : known * (1 - NEWEST) + measured * NEWEST
}
