import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { type Clock, Deadline, SystemClock } from '../../lib/clock.js'
import { type Logger, silentLog } from '../../lib/log.js'
import { ComfyApi, type ComfyOutcome, type Submitted } from './api.js'
import { ComfyError } from './errors.js'
import type { Workflow } from './graph.js'
import { isOutOfMemory } from './memory.js'
import type { ComfyMessage, PreviewFrame } from './messages.js'
import type { ComfyServer } from './server.js'
import { ComfySocket } from './socket.js'
import type {
  ComfyDownloadOptions,
  ComfyOutput,
  ComfyRun,
  ComfyRunner,
  ComfyRunOptions,
} from './types.js'
import { PromptWatch } from './watch.js'

export interface ComfyClientOptions {
  readonly server: ComfyServer
  readonly clock?: Clock
  readonly log?: Logger
  /** How often queue and history are asked while the socket says nothing. Default 2000 ms. */
  readonly pollMs?: number
  /** How long a server may be out of reach before a run is given up. Default 3000 ms. */
  readonly graceMs?: number
  /** How long a prompt may take, its time in the queue included. Default one hour. */
  readonly runTimeoutMs?: number
}

export interface ComfyClientRunOptions extends ComfyRunOptions {
  /** What the prompt is to be called; servers too old for that choose another name. Default: a random one. */
  readonly promptId?: string
}

/** Pause between looks when the end is near or the server is out of reach. */
const SOON_MS = 100
const AGAIN_MS = 250

/**
 * Runs workflows on one ComfyUI server. The socket brings progress and says when to look; what counts is
 * what `/queue` and `/history` say, so that a lost socket costs nothing and no prompt runs twice.
 *
 *     const client = new ComfyClient({ server })
 *     const run = await client.run(workflow, { signal })
 *     for (const output of run.outputs) await client.download(run, output, path, { maxBytes, signal })
 */
export class ComfyClient implements ComfyRunner {
  readonly api: ComfyApi
  readonly #clientId = randomUUID().replaceAll('-', '')
  readonly #socket: ComfySocket
  readonly #clock: Clock
  readonly #log: Logger
  readonly #pollMs: number
  readonly #graceMs: number
  readonly #runTimeoutMs: number
  readonly #watches = new Map<string, PromptWatch>()
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  /** The prompt that the server last spoke of: previews of the older type belong to it. */
  #current: string | undefined

  constructor(options: ComfyClientOptions) {
    this.api = new ComfyApi(options.server)
    this.#clock = options.clock ?? new SystemClock()
    this.#log = options.log ?? silentLog()
    this.#pollMs = options.pollMs ?? 2000
    this.#graceMs = options.graceMs ?? 3000
    this.#runTimeoutMs = options.runTimeoutMs ?? 3_600_000
    this.#socket = new ComfySocket(
      options.server,
      { clientId: this.#clientId, clock: this.#clock },
      {
        message: (message) => this.#hear(message),
        preview: (preview) => this.#see(preview),
        dropped: () => {
          for (const watch of this.#watches.values()) watch.poke()
        },
      },
    )
  }

  get #name(): string {
    return this.api.server.name
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.api.stats(signal)
  }

  async run(workflow: Workflow, options: ComfyClientRunOptions): Promise<ComfyRun> {
    // A listener per run in flight is no leak.
    setMaxListeners(0, options.signal, this.#closing.signal)
    const both = new AbortController()
    const stop = (signal: AbortSignal) => () => both.abort(signal.reason)
    const ends = [options.signal, this.#closing.signal].map((signal) => {
      const listener = stop(signal)
      if (signal.aborted) listener()
      signal.addEventListener('abort', listener, { once: true })
      return () => signal.removeEventListener('abort', listener)
    })
    const run = this.#run(workflow, { ...options, signal: both.signal })
    this.#running.add(run)
    try {
      return await run
    } finally {
      this.#running.delete(run)
      for (const end of ends) end()
    }
  }

  async #run(workflow: Workflow, options: ComfyClientRunOptions): Promise<ComfyRun> {
    const { signal } = options
    signal.throwIfAborted()
    const startedAt = this.#clock.monotonic()
    await this.#socket.open().catch((error: unknown) => {
      // A proxy that passes no sockets: there is no progress then, but the prompt runs.
      if (!(error instanceof ComfyError) || error.code !== 'COMFY_STATUS') throw error
    })
    for (const { name, path } of options.inputs ?? []) await this.api.upload(name, path, signal)
    signal.throwIfAborted()
    const watch = new PromptWatch(workflow, this.#clock, options)
    const { promptId: ownId = randomUUID() } = options
    // Who never had a socket cannot tell a restart from a removal by its drops.
    const drops = this.#socket.isOpen ? this.#socket.drops : -1
    this.#watches.set(ownId, watch)
    let promptId: string = ownId
    try {
      const submitted = await this.#submit(workflow, ownId)
      promptId = submitted.promptId
      this.#watches.set(promptId, watch)
      options.onSubmitted?.(promptId, this.#name)
      const outcome = await this.#follow(promptId, watch, drops, signal)
      const ended = this.#settle(promptId, outcome)
      watch.finish()
      const order = Object.keys(workflow)
      const cached = new Set(ended.cached)
      return {
        promptId,
        server: this.#name,
        outputs: ended.outputs.toSorted(
          (a, b) => order.indexOf(a.nodeId) - order.indexOf(b.nodeId),
        ),
        refused: submitted.refused,
        cached: ended.outputs.length > 0 && ended.outputs.every(({ nodeId }) => cached.has(nodeId)),
        durationMs: this.#clock.monotonic() - startedAt,
      }
    } finally {
      this.#watches.delete(ownId)
      this.#watches.delete(promptId)
    }
  }

  async download(
    _run: ComfyRun,
    output: ComfyOutput,
    path: string,
    options: ComfyDownloadOptions,
  ): Promise<void> {
    await this.api.view(output, path, options)
  }

  /** Removes the prompt from the queue, and interrupts it if it runs. Others are never touched. */
  async cancel(promptId: string, signal?: AbortSignal): Promise<void> {
    await this.api.removePending(promptId, signal)
    // An old server takes any interrupt for the prompt that runs, whosever it is: ask first.
    const { running } = await this.api.queue(signal)
    if (running.includes(promptId)) await this.api.interrupt(promptId, signal)
  }

  /** Ends the runs that are not done, their prompts cancelled, and closes the socket. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the client was closed', 'AbortError'))
    await Promise.allSettled(this.#running)
    this.#socket.close()
  }

  #hear(message: ComfyMessage): void {
    if (message.promptId === undefined) return
    this.#current = message.promptId
    this.#watches.get(message.promptId)?.hear(message)
  }

  #see(preview: PreviewFrame): void {
    const promptId = preview.promptId ?? this.#current
    if (promptId !== undefined) this.#watches.get(promptId)?.preview(preview)
  }

  /**
   * Not under the caller's signal: a request that is cut off may still be taken, and would then run for
   * nobody. When the answer is lost, the server is asked whether it has the prompt.
   */
  async #submit(workflow: Workflow, promptId: string): Promise<Submitted> {
    try {
      return await this.api.submit({ workflow, promptId, clientId: this.#clientId })
    } catch (error) {
      if (!isUnsure(error)) throw error
      const since = this.#clock.monotonic()
      for (;;) {
        try {
          if ((await this.#look(promptId)) !== 'unknown') return { promptId, refused: [] }
          throw error
        } catch (failure) {
          if (failure === error || this.#clock.monotonic() - since > this.#graceMs) throw error
        }
        await this.#clock.sleep(AGAIN_MS)
      }
    }
  }

  async #follow(
    promptId: string,
    watch: PromptWatch,
    dropsBefore: number,
    caller: AbortSignal,
  ): Promise<ComfyOutcome> {
    using limit = new Deadline(this.#runTimeoutMs, caller)
    try {
      return await this.#poll(promptId, watch, dropsBefore, limit.signal)
    } catch (error) {
      if (!limit.signal.aborted) throw error
      await this.cancel(promptId).catch((failure) => {
        this.#log.warn(
          { event: 'comfy-prompt.cancel-failed', server: this.#name, promptId, err: failure },
          'a prompt could not be cancelled',
        )
      })
      if (!limit.expired) throw caller.reason
      const timeoutMs = this.#runTimeoutMs
      throw new ComfyError(
        { code: 'COMFY_RUN_TIMEOUT', server: this.#name, promptId, timeoutMs },
        `the prompt did not end within ${timeoutMs} ms`,
      )
    }
  }

  async #poll(
    promptId: string,
    watch: PromptWatch,
    dropsBefore: number,
    signal: AbortSignal,
  ): Promise<ComfyOutcome> {
    let missed = 0
    let downSince: number | undefined
    for (;;) {
      const waitMs =
        downSince !== undefined ? AGAIN_MS : watch.outcome !== undefined ? SOON_MS : this.#pollMs
      const poked = await watch.wait(waitMs, signal)
      const lively = this.#socket.isOpen && watch.silentMs < this.#pollMs
      if (lively && !poked && watch.outcome === undefined && missed === 0) continue
      // Without a socket there is no progress, but the answers below are all that is needed.
      if (!this.#socket.isOpen) this.#socket.open().catch(() => undefined)
      try {
        const seen = await this.#look(promptId, signal)
        downSince = undefined
        if (typeof seen === 'object') return seen
        missed = seen === 'unknown' ? missed + 1 : 0
      } catch (error) {
        if (!isUnsure(error)) throw error
        downSince ??= this.#clock.monotonic()
        if (this.#clock.monotonic() - downSince >= this.#graceMs) throw error
      }
      if (missed < 2) continue
      // Neither in the queue nor in the history, twice. The history may have been cleared by a user.
      if (watch.outcome !== undefined) return watch.outcome
      if (this.#socket.drops === dropsBefore) return { kind: 'interrupted' }
      throw new ComfyError(
        { code: 'COMFY_PROMPT_LOST', server: this.#name, promptId },
        `${this.#name} no longer knows the prompt; it was restarted`,
        { retryable: true },
      )
    }
  }

  /** The queue first: a prompt leaves it in the same moment in which it gets its history entry. */
  async #look(
    promptId: string,
    signal?: AbortSignal,
  ): Promise<ComfyOutcome | 'queued' | 'unknown'> {
    const { running, pending } = await this.api.queue(signal)
    if (running.includes(promptId) || pending.includes(promptId)) return 'queued'
    return (await this.api.outcome(promptId, signal)) ?? 'unknown'
  }

  #settle(promptId: string, outcome: ComfyOutcome): ComfyOutcome & { kind: 'succeeded' } {
    if (outcome.kind === 'succeeded') return outcome
    const where = { server: this.#name, promptId }
    if (outcome.kind === 'interrupted') {
      throw new ComfyError(
        { code: 'COMFY_INTERRUPTED', ...where },
        'the prompt was interrupted or removed at the server',
      )
    }
    const { nodeId, classType, exceptionType, exceptionMessage } = outcome.failure
    const node = { ...where, nodeId, classType }
    if (isOutOfMemory(outcome.failure)) {
      throw new ComfyError(
        { code: 'COMFY_OUT_OF_MEMORY', ...node },
        `node ${nodeId} (${classType}) ran out of memory`,
        { retryable: true },
      )
    }
    throw new ComfyError(
      { code: 'COMFY_NODE_FAILED', ...node, exception: exceptionType },
      `node ${nodeId} (${classType}) failed: ${exceptionType}: ${exceptionMessage}`,
    )
  }
}

/** Failures after which nobody knows what the server did. */
function isUnsure(error: unknown): error is ComfyError {
  return error instanceof ComfyError && error.retryable && error.code !== 'COMFY_UNAUTHORIZED'
}
