import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import type { FetchOptions, GuardedFetcher } from '../lib/http/index.js'
import type { Judge as VideoJudge } from '../scoring/judge/index.js'
import type { ScoreRecord } from '../scoring/types.js'
import type { ObjectStore } from '../storage/index.js'
import type { AskOptions, Judge, PayloadStore, ResultFetcher } from './ports.js'

const PAYLOADS = 'payloads/'

/** Challenges on the validator's store, under keys nobody can guess. */
export class StorePayloads implements PayloadStore {
  readonly #store: ObjectStore

  constructor(store: ObjectStore) {
    this.#store = store
  }

  async publish(path: string, expiresInSeconds: number, signal: AbortSignal) {
    const key = `${PAYLOADS}${randomBytes(24).toString('hex')}${extname(path)}`
    await this.#store.putFile(key, path, { signal })
    return { url: await this.#store.presignGet(key, expiresInSeconds), key }
  }

  remove(key: string): Promise<void> {
    return this.#store.delete(key)
  }

  /** Deletes challenges published before `beforeMs`: a killed process left them. Returns how many. */
  async sweep(beforeMs: number): Promise<number> {
    let deleted = 0
    for await (const { key, modifiedMs } of this.#store.list(PAYLOADS)) {
      if (modifiedMs >= beforeMs) continue
      await this.#store.delete(key)
      deleted += 1
    }
    return deleted
  }
}

/** Results through the guarded fetch, no larger than the settings allow. */
export class GuardedResults implements ResultFetcher {
  readonly #fetcher: GuardedFetcher
  readonly #limits: Pick<FetchOptions, 'maxBytes'>

  constructor(fetcher: GuardedFetcher, maxBytes: number) {
    this.#fetcher = fetcher
    this.#limits = { maxBytes }
  }

  download(url: string, path: string, { timeoutMs, signal }: AskOptions) {
    return this.#fetcher.download(url, path, { ...this.#limits, timeoutMs, signal })
  }
}

/** The judge of videos as rounds use it. */
export class RoundJudge implements Judge {
  readonly #judge: VideoJudge

  constructor(judge: VideoJudge) {
    this.#judge = judge
  }

  async judge(
    request: Parameters<Judge['judge']>[0],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ScoreRecord>> {
    const { task, reference, payload, results } = request
    const judged =
      task.kind === 'compression'
        ? await this.#judge.scoreCompression(
            {
              reference,
              results,
              threshold: task.vmafThreshold,
              codec: task.codec,
              mode: task.mode,
              ...(task.mode === 'VBR' ? { targetMbps: task.targetBitrateMbps } : {}),
            },
            signal,
          )
        : await this.#judge.scoreUpscaling(
            { reference, input: payload, results, scale: task.scale },
            signal,
          )
    return new Map(judged.map(({ id, record }) => [id, record]))
  }
}
