import type { Clock } from '../../lib/clock.js'
import type { ComfyOutcome } from './api.js'
import type { Workflow } from './graph.js'
import type { ComfyMessage, PreviewFrame } from './messages.js'
import { filesOf } from './outputs.js'
import { ProgressMeter } from './progress.js'
import type { ComfyOutput, ComfyRunOptions } from './types.js'

/** What is heard of one prompt over the socket. It only hints: what counts is the server's history. */
export class PromptWatch {
  readonly #meter: ProgressMeter
  readonly #options: Pick<ComfyRunOptions, 'onProgress' | 'onPreview'>
  readonly #clock: Clock
  readonly #outputs: ComfyOutput[] = []
  #cached: readonly string[] = []
  #outcome: ComfyOutcome | undefined
  #heardAt: number
  #poke = new AbortController()

  constructor(
    workflow: Workflow,
    clock: Clock,
    options: Pick<ComfyRunOptions, 'onProgress' | 'onPreview'>,
  ) {
    this.#meter = new ProgressMeter(workflow)
    this.#clock = clock
    this.#options = options
    this.#heardAt = clock.monotonic()
  }

  /** How the prompt ended as far as was heard. Its outputs may lack those of a time without a socket. */
  get outcome(): ComfyOutcome | undefined {
    return this.#outcome
  }

  /** Milliseconds since the last message about this prompt. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#heardAt
  }

  hear(message: ComfyMessage): void {
    this.#heardAt = this.#clock.monotonic()
    switch (message.kind) {
      case 'cached':
        this.#cached = message.nodes
        this.#progress(message.nodes.map((nodeId) => ({ nodeId, fraction: 1 })))
        break
      case 'progress':
        this.#progress(message.nodes, message.nodes.find((node) => node.running)?.nodeId)
        break
      case 'executed':
        this.#outputs.push(...filesOf(message.nodeId, message.output))
        this.#progress([{ nodeId: message.nodeId, fraction: 1 }], message.nodeId)
        break
      case 'succeeded':
        this.#outcome = { kind: 'succeeded', outputs: this.#outputs, cached: this.#cached }
        this.poke()
        break
      case 'failed':
        this.#outcome = { kind: 'failed', failure: message.failure }
        this.poke()
        break
      case 'interrupted':
        this.#outcome = { kind: 'interrupted' }
        this.poke()
        break
      case 'ended':
        this.poke()
        break
      default:
    }
  }

  preview({ promptId: _, ...preview }: PreviewFrame): void {
    this.#heardAt = this.#clock.monotonic()
    this.#options.onPreview?.(preview)
  }

  /** The run is over and well. */
  finish(): void {
    this.#options.onProgress?.({ fraction: 1 })
  }

  poke(): void {
    this.#poke.abort()
  }

  /** Waits for `ms`, or less when there is reason to look at the server: then true. */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    const poke = this.#poke.signal
    const onAbort = () => this.#poke.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (!poke.aborted && !signal.aborted) await this.#clock.sleep(ms, poke).catch(() => undefined)
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (poke.aborted) this.#poke = new AbortController()
    }
    signal.throwIfAborted()
    return poke.aborted
  }

  #progress(nodes: readonly { nodeId: string; fraction: number }[], nodeId?: string): void {
    if (!this.#meter.take(nodes)) return
    const { fraction } = this.#meter
    this.#options.onProgress?.(nodeId === undefined ? { fraction } : { fraction, nodeId })
  }
}
