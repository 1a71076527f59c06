import { createHash, randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { ScoreRecord } from '#src/scoring/types.js'
import type {
  ChallengeSource,
  Judge,
  MinerAnswer,
  MinerClient,
  MinerTarget,
  MinerTask,
  PayloadStore,
  ResultFetcher,
  Submitted,
  VideoCheck,
} from '#src/validator/ports.js'

/** How a miner in memory behaves, by its hotkey. */
export type Behaviour = (task: MinerTask, signal: AbortSignal) => Promise<MinerAnswer>

export const answers =
  (url: string, latencyMs = 5): Behaviour =>
  async () => ({ ok: true, url, latencyMs })
export const fails =
  (outcome: 'no_answer' | 'refused' | 'empty_url'): Behaviour =>
  async () => ({ ok: false, outcome, latencyMs: 5, reason: outcome })
/** Never answers by itself; ends with the signal. */
export const hangs: Behaviour = (_task, signal) =>
  new Promise((resolve) => {
    const end = () => resolve({ ok: false, outcome: 'no_answer', latencyMs: 5, reason: 'aborted' })
    signal.addEventListener('abort', end, { once: true })
  })

export class MemoryMiners implements MinerClient {
  readonly asked: { readonly hotkey: string; readonly task: MinerTask }[] = []
  readonly behaviours = new Map<string, Behaviour>()

  async warrant() {
    return { kinds: ['compress', 'upscale'] }
  }

  async maxLengthSeconds() {
    return 10
  }

  ask(miner: MinerTarget, task: MinerTask, options: { signal: AbortSignal }): Promise<MinerAnswer> {
    this.asked.push({ hotkey: miner.hotkey, task })
    return (this.behaviours.get(miner.hotkey) ?? fails('no_answer'))(task, options.signal)
  }
}

/** Writes the URL itself as the file: equal URLs are equal content. `missing:` cannot be fetched. */
export class MemoryFetcher implements ResultFetcher {
  readonly failure: (url: string) => Error | undefined

  constructor(failure: (url: string) => Error | undefined = () => undefined) {
    this.failure = failure
  }

  async download(url: string, path: string) {
    const error = this.failure(url)
    if (error !== undefined) throw error
    await writeFile(path, url)
    return { sha256: createHash('sha256').update(url).digest('hex'), sizeBytes: url.length }
  }
}

export class MemoryPayloads implements PayloadStore {
  readonly live = new Set<string>()

  async publish() {
    const key = randomUUID()
    this.live.add(key)
    return { url: `https://store.example/${key}`, key }
  }

  async remove(key: string) {
    this.live.delete(key)
  }
}

/** Takes every file for a video of ten seconds and a megapixel. */
export const playable: VideoCheck = async () => ({
  ...{ ok: true, reason: 'plays', durationSeconds: 10, pixels: 1e6 },
})

/** Writes small files instead of videos. */
export class MemoryCorpus implements ChallengeSource {
  readonly clips = [{ id: 'clip', durationSeconds: 10, width: 640, height: 360 }]

  async compression(_clip: string, _cut: unknown, output: string) {
    await writeFile(output, 'reference')
  }

  async upscaling(
    _clip: string,
    _cut: unknown,
    _scale: 2 | 4,
    _wear: unknown,
    output: { reference: string; payload: string },
  ) {
    await writeFile(output.reference, 'reference')
    await writeFile(output.payload, 'payload')
  }
}

/** Scores by a function; remembers the sizes of its batches. */
export class MemoryJudge implements Judge {
  readonly batches: number[] = []
  readonly score: (result: Submitted) => number | Error

  constructor(score: (result: Submitted) => number | Error) {
    this.score = score
  }

  async judge(request: { results: readonly Submitted[] }) {
    this.batches.push(request.results.length)
    const records = new Map<string, ScoreRecord>()
    for (const result of request.results) {
      const score = this.score(result)
      if (score instanceof Error) throw score
      records.set(result.id, recordOf(score))
    }
    return records
  }
}

export function recordOf(score: number): ScoreRecord {
  return {
    version: 1,
    task: 'compression',
    score,
    reason: 'judged in memory',
    inputs: { reference: { sha256: '', sizeBytes: 0 }, result: undefined, parameters: {} },
    gates: [],
    metrics: {},
    models: [],
    formula: { name: 'memory', constants: {} },
    device: undefined,
    tool: { name: 'subreel', version: '0' },
  }
}
