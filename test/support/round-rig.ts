import { createHash } from 'node:crypto'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { signerFromUri } from 'subreel/wallet'
import { createDendrite, type Dendrite } from '#src/dendrite/index.js'
import { type Clock, SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { type Logger, silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { SeededRng, SystemRng } from '#src/lib/rng.js'
import type { ScoreRecord } from '#src/scoring/types.js'
import { BuiltinStore } from '#src/storage/index.js'
import { GuardedResults, StorePayloads } from '#src/validator/adapters.js'
import { createMetrics } from '#src/validator/metrics.js'
import { DendriteMinerClient } from '#src/validator/miner-client.js'
import { DEFAULT_PLAN_SETTINGS, planRound, type RoundKind } from '#src/validator/plan.js'
import type { ChallengeSource, Judge, MinerTarget, Submitted } from '#src/validator/ports.js'
import { RoundRunner } from '#src/validator/round.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { playable, recordOf } from './validator-fakes.js'

export const NETUID = 85
const FRAMES = 150
const CLIP = fileURLToPath(
  new URL('../../../test/fixtures/media/flattitle.ref.mp4', import.meta.url),
)

/** Challenges without an encoder: a clip as it is. */
class ReadyClips implements ChallengeSource {
  readonly clips = [{ id: 'clip', durationSeconds: 10, width: 640, height: 360 }]

  async compression(_clip: string, _cut: unknown, output: string) {
    await copyFile(CLIP, output)
  }

  async upscaling(
    _clip: string,
    _cut: unknown,
    _scale: 2 | 4,
    _wear: unknown,
    output: { reference: string; payload: string },
  ) {
    await Promise.all([copyFile(CLIP, output.reference), copyFile(CLIP, output.payload)])
  }
}

/** A judge without models: reads every byte, and gives records as large as those of a real one. */
class ByteJudge implements Judge {
  async judge({ results }: { results: readonly Submitted[] }) {
    const judged = results.map(async ({ id, path }): Promise<[string, ScoreRecord]> => {
      const bytes = await readFile(path)
      if (bytes.subarray(0, 6).toString() === '<html>')
        return [
          id,
          { ...recordOf(0), gates: [{ code: 'readable', passed: false, detail: 'HTML' }] },
        ]
      const score = createHash('sha256').update(bytes).digest().readUInt32BE() / 2 ** 32
      const frames = Array.from({ length: FRAMES }, (_, i) => 90 + (i % 10) * score)
      const series = {
        ...{ mean: 90, harmonicMean: 90, min: 90, max: 100 },
        ...{ percentiles: { p1: 90, p5: 90, p10: 90, p50: 95 }, frames },
      }
      return [id, { ...recordOf(score), metrics: { vmaf: series, vmafNeg: series } }]
    })
    return new Map(await Promise.all(judged))
  }
}

export interface RigOptions {
  readonly location: string
  /** Store and working files. */
  readonly dir: string
  readonly clock?: Clock
  readonly log?: Logger
}

/**
 * Rounds as the validator plays them, with its database, store, dendrite and guarded fetch, over
 * sockets; only the making of clips and the judging of pictures are replaced by something cheap.
 */
export class RoundRig implements AsyncDisposable {
  readonly db: StateDatabase
  readonly rounds: RoundStore
  readonly store: BuiltinStore
  readonly #runner: RoundRunner
  readonly #dendrite: Dendrite

  private constructor(
    db: StateDatabase,
    rounds: RoundStore,
    store: BuiltinStore,
    runner: RoundRunner,
    dendrite: Dendrite,
  ) {
    this.db = db
    this.rounds = rounds
    this.store = store
    this.#runner = runner
    this.#dendrite = dendrite
  }

  static async open(options: RigOptions): Promise<RoundRig> {
    const { location, dir, clock = new SystemClock(), log = silentLog() } = options
    const db = await openState(location)
    const rounds = new RoundStore(db, clock)
    const system = new SystemClock()
    const store = await BuiltinStore.open(
      { dir: join(dir, 'store') },
      { clock: system, rng: new SystemRng(), log },
    )
    await store.listen('127.0.0.1', 0)
    const dendrite = createDendrite({
      wallet: signerFromUri('//Alice'),
      rng: new SeededRng('rig'),
      allowPrivate: true,
    })
    const runner = new RoundRunner(
      { netuid: NETUID, concurrency: 256, timeoutMs: () => 60_000, tempDir: dir },
      {
        rounds,
        corpus: new ReadyClips(),
        check: playable,
        payloads: new StorePayloads(store),
        client: new DendriteMinerClient(dendrite, clock),
        fetcher: new GuardedResults(new GuardedFetcher({ allowPrivate: true }), 1_000_000),
        judge: new ByteJudge(),
        clock,
        log,
        metrics: createMetrics(createRegistry()),
      },
    )
    return new RoundRig(db, rounds, store, runner, dendrite)
  }

  /** Plays the round of this number; the same number is the same round in every run. */
  play(number: number, miners: readonly MinerTarget[], kind: RoundKind = 'compression') {
    const block = 100 * (number + 1)
    const at = { block, blockHash: `0x${createHash('sha256').update(`${block}`).digest('hex')}` }
    const plan = planRound({
      ...{ netuid: NETUID, kind, ...at, clips: new ReadyClips().clips, seconds: 2 },
      miners: miners.map(({ hotkey }) => hotkey),
      settings: DEFAULT_PLAN_SETTINGS,
    })
    return this.#runner.play(plan, at, miners, new AbortController().signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dendrite.close()
    await this.store.close()
    await this.db.destroy()
  }
}
