import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { GuardedFetcher } from '../../lib/http/index.js'
import {
  type ComfyPreview,
  type ComfyRunner,
  renderWorkflow,
  type Workflow,
} from '../../media/comfyui/index.js'
import type { MediaTools } from '../../media/index.js'
import {
  extensionOf,
  type FileFacts,
  factsOf,
  type OutputFile,
  type PackageMetadata,
  writePackage,
} from '../../media/package/index.js'
import type { Engine, EngineContext } from '../types.js'

export interface GenerateParams {
  readonly workflow: Workflow
  /** Name of this sort of work, under which servers' speeds are learnt. */
  readonly kind?: string
  /** What the caller calls the result: with the extension of the only file, that file is the result; else a zip. */
  readonly fileName?: string
  readonly onSubmitted?: (promptId: string) => void
  readonly onPreview?: (preview: ComfyPreview) => void
}

export interface GenerateResult {
  /** The only file, or a package of all. */
  readonly path: string
  readonly engine: string
  readonly sizeBytes: number
  readonly metadata: PackageMetadata
}

export interface GenerateEngineOptions {
  readonly runner: ComfyRunner
  /** For URLs inside workflows. */
  readonly fetcher: GuardedFetcher
  readonly tools?: MediaTools
  /** All results of a workflow together, in bytes. Default 2 GiB. */
  readonly maxBytes?: number
  /** Name of a server's graphics card, where known. */
  readonly deviceOf?: (server: string) => string | undefined
}

/** Fetching and packing are a twentieth of the work, as progress goes. */
const RENDERED = 0.95

/** Runs a workflow on ComfyUI; what is said of the result is measured on its files. */
export class GenerateEngine implements Engine<GenerateParams, GenerateResult, unknown> {
  readonly name = 'comfyui'
  readonly #options: GenerateEngineOptions

  constructor(options: GenerateEngineOptions) {
    this.#options = options
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#options.runner.ready(signal)
  }

  async run(
    { params }: { readonly params: GenerateParams },
    { workDir, signal, onProgress }: EngineContext,
  ): Promise<GenerateResult> {
    const { runner, fetcher, tools, maxBytes, deviceOf } = this.#options
    const { workflow, kind, fileName, onSubmitted, onPreview } = params
    const { run, files } = await renderWorkflow(
      workflow,
      { runner, fetcher, ...(tools === undefined ? {} : { tools }) },
      {
        dir: workDir,
        signal,
        ...(maxBytes === undefined ? {} : { maxBytes }),
        ...(kind === undefined ? {} : { kind }),
        ...(onSubmitted === undefined ? {} : { onSubmitted }),
        ...(onPreview === undefined ? {} : { onPreview }),
        onProgress: ({ fraction }) => onProgress?.(fraction * RENDERED),
      },
    )
    const facts: FileFacts[] = []
    for (const file of files) facts.push(await factsOf(file, { ...tools, signal }))
    const gpu = deviceOf?.(run.server)
    const metadata: PackageMetadata = {
      version: 1,
      promptId: run.promptId,
      ...(gpu === undefined ? {} : { gpu }),
      renderSeconds: run.durationMs / 1_000,
      files: facts,
    }
    const path = await this.#resultOf(files, metadata, workDir, fileName)
    onProgress?.(1)
    return { path, engine: this.name, sizeBytes: (await stat(path)).size, metadata }
  }

  close(): Promise<void> {
    return this.#options.runner.close()
  }

  async #resultOf(
    files: readonly OutputFile[],
    metadata: PackageMetadata,
    workDir: string,
    fileName = '',
  ): Promise<string> {
    const [only] = files
    const wanted = extensionOf(fileName)
    if (files.length === 1 && only !== undefined && wanted !== '')
      if (extensionOf(only.filename) === wanted) return only.path
    const path = join(workDir, 'package.zip')
    await writePackage(path, files, metadata)
    return path
  }
}
