import { z } from 'zod'
import { readPythonJson } from './python-json.js'
import type { ComfyPreview } from './types.js'

/** What a ComfyUI server says over its socket, as far as a client needs it. */
export type ComfyMessage =
  | { readonly kind: 'started'; readonly promptId: string }
  | { readonly kind: 'cached'; readonly promptId: string; readonly nodes: readonly string[] }
  /** A node began. Without a prompt id after a reconnect. */
  | {
      readonly kind: 'executing'
      readonly promptId: string | undefined
      readonly nodeId: string
    }
  /** Nothing of the prompt comes after this; its history entry is stored. */
  | { readonly kind: 'ended'; readonly promptId: string }
  | {
      readonly kind: 'progress'
      readonly promptId: string
      readonly nodes: readonly NodeProgress[]
    }
  | {
      readonly kind: 'executed'
      readonly promptId: string
      readonly nodeId: string
      readonly output: unknown
    }
  | { readonly kind: 'succeeded'; readonly promptId: string }
  | { readonly kind: 'failed'; readonly promptId: string; readonly failure: NodeFailure }
  | { readonly kind: 'interrupted'; readonly promptId: string }

export interface NodeProgress {
  readonly nodeId: string
  /** 0–1. */
  readonly fraction: number
  readonly running: boolean
}

export interface NodeFailure {
  readonly nodeId: string
  readonly classType: string
  readonly exceptionType: string
  readonly exceptionMessage: string
}

export interface PreviewFrame extends ComfyPreview {
  /** Absent in frames of the older type: they belong to whatever prompt runs. */
  readonly promptId?: string
}

const id = z.string().max(200)
const prompt = z.object({ prompt_id: id })
const state = z.object({ value: z.number(), max: z.number(), state: z.string() })

const failureSchema = z.object({
  node_id: z.coerce.string(),
  node_type: z.string().default('unknown'),
  exception_type: z.string().default('unknown'),
  exception_message: z.string().default(''),
})

/** What `execution_error` says, from the socket or from a history entry. */
export function parseFailure(data: unknown): NodeFailure {
  const parsed = failureSchema.safeParse(data)
  if (!parsed.success) {
    return {
      nodeId: '',
      classType: 'unknown',
      exceptionType: 'unknown',
      exceptionMessage: 'the server gave no reason',
    }
  }
  return {
    nodeId: parsed.data.node_id,
    classType: parsed.data.node_type,
    exceptionType: parsed.data.exception_type,
    exceptionMessage: parsed.data.exception_message.trim().slice(0, 2000),
  }
}

const messageSchemas = {
  execution_start: prompt.transform(
    ({ prompt_id }): ComfyMessage => ({ kind: 'started', promptId: prompt_id }),
  ),
  execution_cached: prompt
    .extend({ nodes: z.array(z.coerce.string()) })
    .transform(
      ({ prompt_id, nodes }): ComfyMessage => ({ kind: 'cached', promptId: prompt_id, nodes }),
    ),
  executing: z
    .object({ prompt_id: id.optional(), node: z.coerce.string().nullable() })
    .transform(({ prompt_id, node }): ComfyMessage | undefined => {
      if (node !== null) return { kind: 'executing', promptId: prompt_id, nodeId: node }
      return prompt_id === undefined ? undefined : { kind: 'ended', promptId: prompt_id }
    }),
  progress: prompt
    .extend({ node: z.coerce.string(), value: z.number(), max: z.number() })
    .transform(
      ({ prompt_id, node, value, max }): ComfyMessage => ({
        kind: 'progress',
        promptId: prompt_id,
        nodes: [{ nodeId: node, fraction: share(value, max), running: true }],
      }),
    ),
  progress_state: prompt.extend({ nodes: z.record(z.string(), state) }).transform(
    ({ prompt_id, nodes }): ComfyMessage => ({
      kind: 'progress',
      promptId: prompt_id,
      nodes: Object.entries(nodes).map(([nodeId, node]) => ({
        nodeId,
        fraction: node.state === 'finished' ? 1 : share(node.value, node.max),
        running: node.state === 'running',
      })),
    }),
  ),
  executed: prompt.extend({ node: z.coerce.string(), output: z.unknown() }).transform(
    ({ prompt_id, node, output }): ComfyMessage => ({
      kind: 'executed',
      promptId: prompt_id,
      nodeId: node,
      output,
    }),
  ),
  execution_success: prompt.transform(
    ({ prompt_id }): ComfyMessage => ({ kind: 'succeeded', promptId: prompt_id }),
  ),
  execution_error: z.looseObject({ prompt_id: id }).transform(
    (data): ComfyMessage => ({
      kind: 'failed',
      promptId: data.prompt_id,
      failure: parseFailure(data),
    }),
  ),
  execution_interrupted: prompt.transform(
    ({ prompt_id }): ComfyMessage => ({ kind: 'interrupted', promptId: prompt_id }),
  ),
} as const

const frameSchema = z.object({ type: z.string(), data: z.unknown() })

/** A text frame, or undefined when it is of no use: another type, or not understood. */
export function parseMessage(text: string): ComfyMessage | undefined {
  const frame = frameSchema.safeParse(readPythonJson(text))
  if (!frame.success || !Object.hasOwn(messageSchemas, frame.data.type)) return undefined
  const schema = messageSchemas[frame.data.type as keyof typeof messageSchemas]
  const parsed = schema.safeParse(frame.data.data)
  return parsed.success ? parsed.data : undefined
}

const JPEG = 1
const PNG = 2
/** How pictures begin. Extensions send other things under the same event type, such as frames of a video with a number before each. */
const isPicture = (bytes: Buffer) =>
  bytes.readUInt16BE(0) === 0xffd8 || bytes.readUInt16BE(0) === 0x8950
const MIMES = new Map([
  [JPEG, 'image/jpeg'],
  [PNG, 'image/png'],
])
const PREVIEW = 1
const PREVIEW_WITH_METADATA = 4
const MAX_METADATA_BYTES = 64 * 1024
const metadataSchema = z.object({
  image_type: z.enum(['image/jpeg', 'image/png']),
  prompt_id: id.optional(),
  node_id: z.coerce.string().optional(),
})

/**
 * A binary frame: u32 event type, big-endian; then type 1: u32 image type (1 JPEG, 2 PNG), image;
 * type 4: u32 length of the metadata, metadata as JSON, image. Undefined for all others.
 */
export function parsePreview(frame: Buffer): PreviewFrame | undefined {
  if (frame.length < 10) return undefined
  const type = frame.readUInt32BE(0)
  const word = frame.readUInt32BE(4)
  if (type === PREVIEW) {
    const mime = MIMES.get(word)
    const bytes = frame.subarray(8)
    return mime === undefined || !isPicture(bytes) ? undefined : { mime, bytes }
  }
  if (type !== PREVIEW_WITH_METADATA || word > MAX_METADATA_BYTES) return undefined
  const metadata = metadataSchema.safeParse(
    readPythonJson(frame.subarray(8, 8 + word).toString('utf8')),
  )
  if (!metadata.success) return undefined
  const { image_type: mime, prompt_id: promptId, node_id: nodeId } = metadata.data
  const bytes = frame.subarray(8 + word)
  if (bytes.length < 2 || !isPicture(bytes)) return undefined
  return {
    mime,
    bytes,
    ...(promptId === undefined ? {} : { promptId }),
    ...(nodeId === undefined ? {} : { nodeId }),
  }
}

function share(value: number, max: number): number {
  return max > 0 ? Math.min(1, Math.max(0, value / max)) : 0
}
