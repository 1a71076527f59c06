import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { GuardedFetcher } from '../../lib/http/index.js'
import { MediaError } from '../errors.js'
import { type SniffedFormat, sniffFile } from '../sniff.js'
import type { Workflow } from './graph.js'
import { SHIPPED_NODES } from './node-rules.js'
import type { ComfyInput } from './types.js'

/** What an input file may be, and the extension it gets. */
const EXTENSIONS: Readonly<Partial<Record<SniffedFormat, string>>> = {
  png: '.png',
  jpeg: '.jpg',
  webp: '.webp',
  gif: '.gif',
  wav: '.wav',
  flac: '.flac',
  mp3: '.mp3',
  ogg: '.ogg',
}
const MAX_INPUTS = 8
const MAX_INPUT_BYTES = 64 * 1024 ** 2
const TIMEOUT_MS = 60_000

export interface FetchedInputs {
  /** The workflow with file names where it had URLs. */
  readonly workflow: Workflow
  /** To be uploaded to the server that runs it. */
  readonly inputs: readonly ComfyInput[]
}

/**
 * Fetches what a workflow reads by URL. ComfyUI's own loaders (`LoadImage`, `LoadAudio`) take the name
 * of an uploaded file; a workflow that comes from elsewhere has a URL there. The fetcher's rules decide
 * what may be fetched; the bytes decide what it is; the name is made from its hash.
 * @throws FetchError, MediaError
 */
export async function fetchInputs(
  workflow: Workflow,
  fetcher: GuardedFetcher,
  options: { readonly dir: string; readonly signal: AbortSignal },
): Promise<FetchedInputs> {
  const urls = new Set(fileInputs(workflow).map(({ url }) => url))
  if (urls.size > MAX_INPUTS) {
    throw new MediaError(
      { code: 'MEDIA_LIMIT_EXCEEDED', limit: 'inputs', value: urls.size, max: MAX_INPUTS },
      `the workflow reads ${urls.size} files by URL; at most ${MAX_INPUTS} are fetched`,
    )
  }
  const files = new Map<string, ComfyInput>()
  for (const url of urls) {
    const draft = join(options.dir, `input-${files.size}`)
    const limits = { maxBytes: MAX_INPUT_BYTES, timeoutMs: TIMEOUT_MS, signal: options.signal }
    const { sha256 } = await fetcher.download(url, draft, limits)
    const format = await sniffFile(draft)
    const extension = EXTENSIONS[format]
    if (extension === undefined) {
      throw new MediaError(
        { code: 'MEDIA_FORMAT_REFUSED', path: draft, found: format },
        `an input of a workflow is an image or sound; this looks like ${format}`,
      )
    }
    const path = `${draft}${extension}`
    await rename(draft, path)
    files.set(url, { name: `subreel-${sha256.slice(0, 32)}${extension}`, path })
  }
  const filled = new Map(Object.entries(workflow))
  for (const { nodeId, input, url } of fileInputs(workflow)) {
    const node = filled.get(nodeId)
    const file = files.get(url)
    if (node === undefined || file === undefined) continue
    filled.set(nodeId, { ...node, inputs: { ...node.inputs, [input]: file.name } })
  }
  return { workflow: Object.fromEntries(filled), inputs: [...files.values()] }
}

/** Inputs that name a file and hold a URL. */
function fileInputs(workflow: Workflow): { nodeId: string; input: string; url: string }[] {
  return Object.entries(workflow).flatMap(([nodeId, { class_type, inputs }]) =>
    Object.entries(inputs).flatMap(([input, value]) => {
      const rule = Object.hasOwn(SHIPPED_NODES, class_type) ? SHIPPED_NODES[class_type] : undefined
      const kind = rule !== undefined && Object.hasOwn(rule.inputs, input) ? rule.inputs[input] : ''
      const isUrl = typeof value === 'string' && /^https?:\/\//i.test(value)
      return isUrl && kind?.startsWith('file') === true ? [{ nodeId, input, url: value }] : []
    }),
  )
}
