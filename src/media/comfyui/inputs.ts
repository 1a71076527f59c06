import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { GuardedFetcher } from '../../lib/http/index.js'
import { isAnimated } from '../animated.js'
import { MediaError } from '../errors.js'
import { type ProbeOptions, probe } from '../probe.js'
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
/** A frame of 4K: servers keep an image as numbers of four bytes. */
const MAX_PIXELS = 4096 * 2304
const MAX_SECONDS = 600

export interface FetchInputsOptions extends Pick<ProbeOptions, 'ffprobePath' | 'sandbox'> {
  readonly dir: string
  readonly signal: AbortSignal
}

/** Where a workflow names a file by URL. */
interface Place {
  readonly nodeId: string
  readonly input: string
  readonly url: string
}

export interface FetchedInputs {
  /** The workflow with file names where it had URLs. */
  readonly workflow: Workflow
  /** To be uploaded to the server that runs it. */
  readonly inputs: readonly ComfyInput[]
}

/**
 * Fetches what a workflow reads by URL. ComfyUI's own loaders (`LoadImage`, `LoadAudio`) take the name
 * of an uploaded file; a workflow that comes from elsewhere has a URL there. The fetcher's rules decide
 * what may be fetched; the bytes decide what it is, and whether it is one picture of a bearable size or a
 * sound of a bearable length; the name is made from its hash.
 * @throws FetchError, MediaError
 */
export async function fetchInputs(
  workflow: Workflow,
  fetcher: GuardedFetcher,
  options: FetchInputsOptions,
): Promise<FetchedInputs> {
  const places = fileInputs(workflow)
  const urls = new Set(places.map(({ url }) => url))
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
    await requireModest(draft, format, options)
    const path = `${draft}${extension}`
    await rename(draft, path)
    files.set(url, { name: `subreel-${sha256.slice(0, 32)}${extension}`, path })
  }
  const named = fill(workflow, places, ({ url }) => files.get(url)?.name ?? url)
  return { workflow: named, inputs: [...files.values()] }
}

/** The workflow with plain names in place of URLs: what a firewall can judge before anything is fetched. */
export function withoutUrls(workflow: Workflow): Workflow {
  return fill(workflow, fileInputs(workflow), () => 'input')
}

/** A small file can hold a picture, or thousands of them, that fill any server's memory. */
async function requireModest(
  path: string,
  format: SniffedFormat,
  options: FetchInputsOptions,
): Promise<void> {
  const require = (limit: string, value: number, max: number) => {
    if (value <= max) return
    throw new MediaError(
      { code: 'MEDIA_LIMIT_EXCEEDED', limit, value, max },
      `an input of a workflow has ${value} ${limit}; at most ${max} are taken`,
    )
  }
  require('frames', (await isAnimated(path, format)) ? 2 : 1, 1)
  const { video, durationSeconds } = await probe(path, options)
  if (video === undefined) return require('seconds', durationSeconds, MAX_SECONDS)
  require('pixels', video.width * video.height, MAX_PIXELS)
  // Cameras put a second JPEG behind the first; readers take one.
  if (format === 'gif') require('frames', video.frames, 1)
}

function fill(
  workflow: Workflow,
  places: readonly Place[],
  nameOf: (place: Place) => string,
): Workflow {
  const nodes = new Map(Object.entries(workflow))
  for (const place of places) {
    const node = nodes.get(place.nodeId)
    if (node === undefined) continue
    const inputs = { ...node.inputs, [place.input]: nameOf(place) }
    nodes.set(place.nodeId, { ...node, inputs })
  }
  return Object.fromEntries(nodes)
}

/** Inputs that name a file and hold a URL. */
function fileInputs(workflow: Workflow): Place[] {
  return Object.entries(workflow).flatMap(([nodeId, { class_type, inputs }]) =>
    Object.entries(inputs).flatMap(([input, value]) => {
      const rule = Object.hasOwn(SHIPPED_NODES, class_type) ? SHIPPED_NODES[class_type] : undefined
      const kind = rule !== undefined && Object.hasOwn(rule.inputs, input) ? rule.inputs[input] : ''
      const isUrl = typeof value === 'string' && /^https?:\/\//i.test(value)
      return isUrl && kind?.startsWith('file') === true ? [{ nodeId, input, url: value }] : []
    }),
  )
}
