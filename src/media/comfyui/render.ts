import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { GuardedFetcher } from '../../lib/http/index.js'
import { MediaError } from '../errors.js'
import type { MediaTools } from '../ffmpeg.js'
import { extensionOf, type OutputFile } from '../package/files.js'
import type { Workflow } from './graph.js'
import { fetchInputs, withoutUrls } from './inputs.js'
import type { ComfyRun, ComfyRunner, ComfyRunOptions } from './types.js'

export interface RenderModules {
  readonly runner: ComfyRunner
  /** For the URLs in a workflow. */
  readonly fetcher: GuardedFetcher
  readonly tools?: MediaTools
}

export interface RenderOptions extends Omit<ComfyRunOptions, 'inputs'> {
  /** Where the files go; it exists. */
  readonly dir: string
  /** All files together, in bytes. Default 2 GiB. */
  readonly maxBytes?: number
}

export interface Rendered {
  readonly run: ComfyRun
  /** In the order of the workflow's nodes; at least one. */
  readonly files: readonly OutputFile[]
}

const MAX_FILES = 64
const MAX_BYTES = 2 * 1024 ** 3

/**
 * Runs a workflow and fetches everything that it saved: what it reads by URL goes to the server, what
 * it saved comes from there. No name of the server becomes part of a path.
 * @throws ComfyError, WorkflowError, FetchError, MediaError
 */
export async function renderWorkflow(
  workflow: Workflow,
  { runner, fetcher, tools }: RenderModules,
  options: RenderOptions,
): Promise<Rendered> {
  const { dir, signal, maxBytes = MAX_BYTES, ...callbacks } = options
  // Nothing is fetched for a workflow that would be refused.
  runner.check?.(withoutUrls(workflow))
  const fetched = await fetchInputs(workflow, fetcher, { ...tools, dir, signal })
  const run = await runner.run(fetched.workflow, { ...callbacks, signal, inputs: fetched.inputs })
  if (run.outputs.length === 0 || run.outputs.length > MAX_FILES) {
    const value = run.outputs.length
    throw new MediaError(
      { code: 'MEDIA_LIMIT_EXCEEDED', limit: 'files', value, max: MAX_FILES },
      `the workflow saved ${value} files; between 1 and ${MAX_FILES} are taken`,
    )
  }
  const files: OutputFile[] = []
  let left = maxBytes
  for (const output of run.outputs) {
    const path = join(dir, `output-${files.length}${extensionOf(output.filename)}`)
    await runner.download(run, output, path, { maxBytes: left, signal })
    const sizeBytes = (await stat(path)).size
    left -= sizeBytes
    files.push({ ...output, path, sizeBytes })
  }
  return { run, files }
}
