import type { ComfyNodeError } from './errors.js'
import type { Workflow } from './graph.js'

/** A file that a node saved, as ComfyUI names it; `download` fetches it. The names are the server's: they may hold anything. */
export interface ComfyOutput {
  readonly nodeId: string
  /** The list that the server names it in: `images`, `gifs`, `audio` … */
  readonly key: string
  readonly filename: string
  readonly subfolder: string
  /** `output`, `temp` or `input`. */
  readonly type: string
}

/** A prompt that ended well. */
export interface ComfyRun {
  readonly promptId: string
  /** Name of the server that ran it: host and port. */
  readonly server: string
  /** Every file of every list of every node's outputs, in the order of the workflow's nodes. */
  readonly outputs: readonly ComfyOutput[]
  /** What was wrong with outputs that the server left out while it ran the others; empty as a rule. */
  readonly refused: readonly ComfyNodeError[]
  /** The server had every result from an earlier run. The files are then those of that run. */
  readonly cached: boolean
  /**
   * How the workflow was changed because memory ran out: the decoder worked in `tiles`, or its batches
   * were halved (`batch`: fewer clips). Absent as a rule.
   */
  readonly reduced?: 'tiles' | 'batch'
  /** From submission to the end, in milliseconds, waiting in the server's queue included. */
  readonly durationMs: number
}

export interface ComfyProgress {
  /** 0–1, never falling. 1 only when the run has ended well. */
  readonly fraction: number
  /** The node at work, where known. */
  readonly nodeId?: string
}

export interface ComfyPreview {
  /** `image/jpeg` or `image/png`. */
  readonly mime: string
  readonly bytes: Buffer
  readonly nodeId?: string
}

/** A file that the workflow reads by name (`LoadImage`): it is uploaded to the server that runs the workflow. */
export interface ComfyInput {
  /** As the workflow has it: a plain file name, or one in folders. An older upload of that name is overwritten. */
  readonly name: string
  readonly path: string
}

export interface ComfyRunOptions {
  /** When it aborts, the prompt is removed from the queue and interrupted; `run` rejects with its reason. */
  readonly signal: AbortSignal
  /** Name of this sort of work, under which speeds are learnt. Default: one made from the workflow. */
  readonly kind?: string
  readonly inputs?: readonly ComfyInput[]
  /** Called for each server that took the prompt: more than once when the run moves. */
  readonly onSubmitted?: (promptId: string, server: string) => void
  readonly onProgress?: (progress: ComfyProgress) => void
  readonly onPreview?: (preview: ComfyPreview) => void
}

export interface ComfyDownloadOptions {
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/** Runs workflows: on one server (`ComfyClient`) or the best of many (`ComfyPool`). */
export interface ComfyRunner {
  /** Throws what `run` would throw before it calls any server. @throws WorkflowError WORKFLOW_REFUSED */
  check?(workflow: Workflow): void
  /** Resolves when workflows can be run. @throws ComfyError when no server can be reached */
  ready(signal: AbortSignal): Promise<void>
  /**
   * Runs a workflow to its end.
   * @throws ComfyError
   */
  run(workflow: Workflow, options: ComfyRunOptions): Promise<ComfyRun>
  /**
   * Fetches an output of a run into a new file; nothing is left of it on failure.
   * @throws ComfyError
   */
  download(
    run: ComfyRun,
    output: ComfyOutput,
    path: string,
    options: ComfyDownloadOptions,
  ): Promise<void>
  close(): Promise<void>
}
