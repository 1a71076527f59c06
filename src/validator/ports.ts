import type { CorpusClip, Cut, Degradation } from '../corpus/index.js'
import type { ScoreRecord } from '../scoring/types.js'
import type { Workflow } from '../workflows/index.js'
import type { MinerWork, RoundTask } from './plan.js'

/** A miner as the duties see it: who, and where its axon is. */
export interface MinerTarget {
  readonly hotkey: string
  readonly uid: number
  readonly ip: string
  readonly port: number
  /** SDK version integer from the chain. */
  readonly version?: number
  /** Longest clip it takes, in seconds; any when absent. */
  readonly maxSeconds?: number
}

/** What a miner made of a request. Failing is an answer too, never an exception. */
export type MinerAnswer =
  | { readonly ok: true; readonly url: string; readonly latencyMs: number }
  | {
      readonly ok: false
      readonly outcome: 'no_answer' | 'refused' | 'empty_url' | 'bad_media' | 'infrastructure'
      readonly latencyMs: number
      readonly reason: string
    }

export interface Warrant {
  /** Kinds of work in the order the miner named them. */
  readonly kinds: readonly string[]
}

export interface AskOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** How duties talk to miners. The dendrite implements it; tests use miners in memory. */
export interface MinerClient {
  /** Undefined when the miner is silent. */
  warrant(miner: MinerTarget, options: AskOptions): Promise<Warrant | undefined>
  /** Longest clip in seconds the miner takes; undefined when it is silent. */
  maxLengthSeconds(miner: MinerTarget, options: AskOptions): Promise<number | undefined>
  /** Sends one video and waits for the result's URL. Synthetic and organic requests are the same bytes. */
  ask(miner: MinerTarget, task: MinerTask, options: AskOptions): Promise<MinerAnswer>
}

/** What is asked of a miner: work on a video, or a video from nothing. */
export type MinerTask =
  | ({ readonly url: string; readonly roundId: string } & MinerWork)
  | { readonly kind: 'generation'; readonly roundId: string; readonly workflow: Workflow }

/** A result on disk, to be judged. */
export interface Submitted {
  readonly id: string
  readonly path: string
  readonly sha256: string
}

/** Scores results against one reference. Errors of a single result are in its record, not thrown. */
export interface Judge {
  judge(
    request: {
      readonly task: RoundTask
      /** What the result is compared with. */
      readonly reference: string
      /** What the miner was given: the reference itself, or the low-resolution clip. */
      readonly payload: string
      readonly results: readonly Submitted[]
      readonly contentSeconds: number
    },
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ScoreRecord>>
}

/** Fetches a miner's result: bounded, guarded, hashed. */
export interface ResultFetcher {
  download(
    url: string,
    path: string,
    options: AskOptions,
  ): Promise<{ readonly sha256: string; readonly sizeBytes: number }>
}

/** Whether a file is a video that plays, and how large it is. */
export type VideoCheck = (
  path: string,
  signal: AbortSignal,
) => Promise<{
  readonly ok: boolean
  readonly reason: string
  readonly durationSeconds: number | undefined
  /** Frames × width × height. */
  readonly pixels?: number
}>

/** Where challenges come from. */
export interface ChallengeSource {
  readonly clips: readonly CorpusClip[]
  compression(clipId: string, cut: Cut, output: string): Promise<void>
  upscaling(
    clipId: string,
    cut: Cut,
    scale: 2 | 4,
    degradation: Degradation,
    output: { readonly reference: string; readonly payload: string },
  ): Promise<void>
}

/** Where the validator puts what miners fetch. */
export interface PayloadStore {
  /** Stores a file and returns the URL miners get. */
  publish(
    path: string,
    expiresInSeconds: number,
    signal: AbortSignal,
  ): Promise<{ readonly url: string; readonly key: string }>
  remove(key: string): Promise<void>
}
