import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Dendrite, Target } from '../../dendrite/index.js'
import type { Clock } from '../../lib/clock.js'
import { tempFolder } from '../../lib/temp-folder.js'
import {
  ComfySupport,
  MinerCapacity,
  TaskCancellation,
  TaskStatusCheck,
  VideoTask,
} from '../../protocol/index.js'
import type { ObjectStore } from '../../storage/index.js'
import type { Workflow } from '../../workflows/index.js'
import type { AskOptions, MinerTarget } from '../ports.js'

export interface GenerationRequest {
  /** What the miner sees of the task. */
  readonly taskId: string
  readonly workflow: Workflow
}

/** What became of one request: an object in the validator's store, or a reason. */
export type GenerationAnswer =
  | { readonly ok: true; readonly key: string; readonly latencyMs: number }
  | {
      readonly ok: false
      readonly outcome: 'no_answer' | 'refused' | 'infrastructure'
      readonly latencyMs: number
      readonly reason: string
    }

export interface GenerationClientOptions {
  /** A result may have this many bytes. */
  readonly maxBytes: number
  /** How often the store is looked at, in milliseconds. Default 2000, the reference's. */
  readonly pollMs?: number
  /** Where working files go; the system's temporary folder when absent. */
  readonly tempDir?: string
}

export interface GenerationClientModules {
  readonly dendrite: Dendrite
  /** The validator's own store, to which miners upload. */
  readonly store: ObjectStore
  readonly clock: Clock
  /** The part of a result that a player shows; `dir` is for what is unpacked. */
  readonly findVideo: (
    path: string,
    dir: string,
    signal: AbortSignal,
  ) => Promise<{ readonly ok: boolean; readonly path: string }>
}

/** Folder of what miners upload; the same sweep as for challenges deletes what a crash left. */
const RESULTS = 'payloads/generated-'
/** A miner accepts a task within this, or has not. */
const SEND_TIMEOUT_MS = 20_000
const ASK_TIMEOUT_MS = 5_000
/** The miner's own word on a task is asked for once in so many looks at the store. */
const STATUS_EVERY = 3
const ENDED_BADLY = new Set(['failed', 'timeout'])

/**
 * Has miners run workflows: the task is accepted at once and done later, by a PUT into this
 * validator's store. Miners of subnet 99 answer nothing else, so the object itself is the answer; what
 * a miner says of the task's status only ends the wait early.
 */
export class GenerationClient {
  readonly #modules: GenerationClientModules
  readonly #maxBytes: number
  readonly #pollMs: number
  readonly #tempDir: string | undefined

  constructor(options: GenerationClientOptions, modules: GenerationClientModules) {
    this.#modules = modules
    this.#maxBytes = options.maxBytes
    this.#pollMs = options.pollMs ?? 2_000
    this.#tempDir = options.tempDir
  }

  /** Whether a miner can be sent a task now. One that does not say is taken to be ready. */
  async readiness(miner: MinerTarget, signal: AbortSignal): Promise<'ready' | 'no-comfy' | 'full'> {
    const { dendrite } = this.#modules
    const options = { timeoutMs: ASK_TIMEOUT_MS, signal }
    const support = await dendrite.call(target(miner), ComfySupport, {}, options)
    if (support.ok && support.response.supports_comfy === false) return 'no-comfy'
    const capacity = await dendrite.call(target(miner), MinerCapacity, {}, options)
    if (!capacity.ok) return 'ready'
    const { lanes, ...together } = capacity.response
    return (lanes?.generation ?? together).available ? 'ready' : 'full'
  }

  /** Sends a workflow and waits for its result. Only an abort is thrown. */
  async generate(
    miner: MinerTarget,
    request: GenerationRequest,
    { timeoutMs, signal }: AskOptions,
  ): Promise<GenerationAnswer> {
    const { dendrite, store, clock } = this.#modules
    const started = clock.monotonic()
    const latency = () => clock.monotonic() - started
    const key = newKey('.zip')
    const sent = await dendrite.call(
      target(miner),
      VideoTask,
      {
        task_id: request.taskId,
        // A name without the ending of a video asks for a package, of users' tasks and rounds alike.
        file_name: request.taskId,
        workflow_params: { ...request.workflow },
        upload_url: await store.presignPut(key, Math.ceil(timeoutMs / 1_000) + 60),
      },
      { timeoutMs: Math.min(timeoutMs, SEND_TIMEOUT_MS), signal },
    )
    const fail = (outcome: 'no_answer' | 'refused' | 'infrastructure', reason: string) =>
      ({ ok: false, outcome, reason, latencyMs: latency() }) as const
    if (!sent.ok) {
      if (sent.kind === 'local') {
        return fail('infrastructure', 'this machine could not send: out of sockets or memory')
      }
      return sent.kind === 'refused'
        ? fail('refused', `the miner refused with status ${sent.statusCode}`)
        : fail('no_answer', `no answer: ${sent.kind}`)
    }
    // The text of a peer stays out of reasons: it is hostile, and the code says enough.
    const { status_code: status } = sent.response
    if (status !== 200) return fail('refused', `the miner refused with status ${status}`)
    for (let look = 1; ; look += 1) {
      if (await this.#arrived(key, signal)) return { ok: true, key, latencyMs: latency() }
      if (latency() >= timeoutMs) {
        this.#giveUp(miner, request.taskId)
        return fail('no_answer', `no result within ${Math.round(timeoutMs / 1_000)} s`)
      }
      if (look % STATUS_EVERY === 0) {
        const state = await this.#state(miner, request.taskId, signal)
        if (state !== undefined && ENDED_BADLY.has(state)) {
          return fail('no_answer', `the miner says that its task ended: ${state}`)
        }
      }
      await clock.sleep(Math.min(this.#pollMs, Math.max(1, timeoutMs - latency())), signal)
    }
  }

  /** Brings a result here; false when it is larger than allowed. Errors are the store's, so ours. */
  async fetch(key: string, path: string, signal: AbortSignal): Promise<boolean> {
    const source = await this.#modules.store.get(key, { signal })
    let seen = 0
    const maxBytes = this.#maxBytes
    try {
      await pipeline(
        source,
        async function* (chunks: Readable) {
          for await (const chunk of chunks as AsyncIterable<Buffer>) {
            seen += chunk.length
            if (seen > maxBytes) throw new TooLarge()
            yield chunk
          }
        },
        createWriteStream(path, { flags: 'wx', mode: 0o600 }),
        { signal },
      )
      return true
    } catch (error) {
      await rm(path, { force: true })
      if (error instanceof TooLarge) return false
      throw error
    }
  }

  /**
   * Puts the video of a result where it can be played, in place of the result. Returns its key;
   * undefined where there is none.
   */
  async video(key: string, signal: AbortSignal): Promise<string | undefined> {
    const { store, findVideo } = this.#modules
    await using dir = await tempFolder('subreel-result-', this.#tempDir)
    try {
      const path = join(dir.path, 'result')
      if (!(await this.fetch(key, path, signal))) return undefined
      const found = await findVideo(path, dir.path, signal)
      if (!found.ok) return undefined
      const videoKey = newKey(extname(found.path) || '.mp4')
      await store.putFile(videoKey, found.path, { signal })
      return videoKey
    } finally {
      await this.remove(key).catch(() => {})
    }
  }

  url(key: string, expiresInSeconds: number): Promise<string> {
    return this.#modules.store.presignGet(key, expiresInSeconds)
  }

  remove(key: string): Promise<void> {
    return this.#modules.store.delete(key)
  }

  async #arrived(key: string, signal: AbortSignal): Promise<boolean> {
    for await (const object of this.#modules.store.list(key, { signal })) {
      if (object.key === key) return true
    }
    return false
  }

  async #state(miner: MinerTarget, task_id: string, signal: AbortSignal) {
    const options = { timeoutMs: ASK_TIMEOUT_MS, signal }
    const { dendrite } = this.#modules
    const outcome = await dendrite.call(target(miner), TaskStatusCheck, { task_id }, options)
    return outcome.ok ? outcome.response.status : undefined
  }

  /** Not waited for: whether the miner stops is its own gain. */
  #giveUp(miner: MinerTarget, task_id: string): void {
    this.#modules.dendrite
      .call(target(miner), TaskCancellation, { task_id }, { timeoutMs: ASK_TIMEOUT_MS })
      .catch(() => {})
  }
}

class TooLarge extends Error {}

const newKey = (ending: string) => `${RESULTS}${randomBytes(24).toString('hex')}${ending}`

function target({ hotkey, ip, port, version }: MinerTarget): Target {
  return { hotkey, ip, port, ...(version === undefined ? {} : { version }) }
}
