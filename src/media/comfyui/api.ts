import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { exactJson } from '../../lib/exact-json.js'
import { FetchError, type FetchOptions, GuardedFetcher } from '../../lib/http/index.js'
import { ComfyError, type ComfyNodeError } from './errors.js'
import type { Workflow } from './graph.js'
import { type NodeFailure, parseFailure } from './messages.js'
import { filesOf } from './outputs.js'
import { readPythonJson } from './python-json.js'
import type { ComfyServer } from './server.js'
import type { ComfyDownloadOptions, ComfyOutput } from './types.js'

const MIB = 1024 ** 2
/** A long queue repeats every prompt whole, and `/object_info` of a server with many custom nodes is large. */
const MAX_REPLY_BYTES = 64 * MIB

/** How a prompt ended, as its history entry says. */
export type ComfyOutcome =
  | {
      readonly kind: 'succeeded'
      readonly outputs: readonly ComfyOutput[]
      readonly cached: readonly string[]
    }
  | { readonly kind: 'failed'; readonly failure: NodeFailure }
  | { readonly kind: 'interrupted' }

export interface ComfyQueue {
  /** Prompt ids, first come first. */
  readonly running: readonly string[]
  readonly pending: readonly string[]
}

export interface ComfyStats {
  readonly version: string
  /** Graphics cards, or the processor where there is none. Memory in bytes. */
  readonly devices: readonly {
    readonly name: string
    readonly index: number | undefined
    readonly vramTotal: number
    readonly vramFree: number
  }[]
}

/** Of a server that has not been asked yet. */
export const NOTHING_KNOWN: ComfyStats = { version: 'unknown', devices: [] }

export interface Submitted {
  readonly promptId: string
  readonly refused: readonly ComfyNodeError[]
}

const errorSchema = z.object({
  type: z.string(),
  message: z.string().default(''),
  details: z.string().default(''),
  extra_info: z.object({ input_name: z.string().optional() }).catch({}),
})
const nodeErrorsSchema = z.record(
  z.string(),
  z.object({ class_type: z.string().default('unknown'), errors: z.array(errorSchema) }),
)
// An empty object is what the server sends; some versions send a list when there is none.
const nodeErrors = nodeErrorsSchema.catch({})
const submittedSchema = z.object({ prompt_id: z.string().min(1), node_errors: nodeErrors })
const refusalSchema = z.object({
  error: z.union([errorSchema, z.string()]),
  node_errors: nodeErrors,
})
const queueItem = z.tuple([z.number(), z.string()], z.unknown()).transform(([, id]) => id)
const queueSchema = z.object({
  queue_running: z.array(queueItem),
  queue_pending: z.array(queueItem),
})
const historySchema = z.record(
  z.string(),
  z.object({
    outputs: z.record(z.string(), z.unknown()).default({}),
    status: z
      .object({
        status_str: z.string(),
        messages: z.array(z.tuple([z.string(), z.unknown()])).default([]),
      })
      .nullish(),
  }),
)
const statsSchema = z.object({
  system: z.object({ comfyui_version: z.string().default('unknown') }),
  devices: z.array(
    z
      .object({
        name: z.string(),
        index: z.number().nullish(),
        vram_total: z.number(),
        vram_free: z.number(),
      })
      .transform((device) => ({
        name: device.name,
        index: device.index ?? undefined,
        vramTotal: device.vram_total,
        vramFree: device.vram_free,
      })),
  ),
})
const uploadedSchema = z.object({ name: z.string().min(1), subfolder: z.string().default('') })
const cachedSchema = z.object({ nodes: z.array(z.coerce.string()) })

interface CallOptions extends Pick<FetchOptions, 'method' | 'body' | 'headers' | 'maxBytes'> {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The HTTP calls of one ComfyUI server, each with a deadline and a bound on its answer. Redirects are
 * not followed, so that the token stays with the server.
 *
 * The server is the operator's own: any address and plain http are allowed.
 */
export class ComfyApi {
  readonly server: ComfyServer
  readonly #fetcher = new GuardedFetcher({ allowPrivate: true, allowHttp: true, maxRedirects: 0 })

  constructor(server: ComfyServer) {
    this.server = server
  }

  /**
   * Hands in a prompt under an id of the caller's choice; servers too old for that choose another.
   * @throws ComfyError COMFY_PROMPT_REFUSED with the nodes at fault, when no output can run
   */
  async submit(
    prompt: { readonly workflow: Workflow; readonly promptId: string; readonly clientId: string },
    signal?: AbortSignal,
  ): Promise<Submitted> {
    const body = exactJson({
      prompt: prompt.workflow,
      client_id: prompt.clientId,
      prompt_id: prompt.promptId,
    })
    const { status, text } = await this.#call('prompt', {
      ...post(body),
      timeoutMs: 30_000,
      signal,
    })
    if (status === 400) throw this.#refusal(text, prompt.workflow)
    const { prompt_id: promptId, node_errors } = this.#read('prompt', submittedSchema, status, text)
    return { promptId, refused: flatten(node_errors) }
  }

  async queue(signal?: AbortSignal): Promise<ComfyQueue> {
    const reply = await this.#get('queue', queueSchema, 15_000, signal)
    return { running: reply.queue_running, pending: reply.queue_pending }
  }

  /** How the prompt ended; undefined while the server has no entry of it. */
  async outcome(promptId: string, signal?: AbortSignal): Promise<ComfyOutcome | undefined> {
    const path = `history/${encodeURIComponent(promptId)}`
    const reply = await this.#get(path, historySchema, 60_000, signal)
    const entry = reply[promptId]
    if (entry === undefined) return undefined
    const messages = new Map(entry.status?.messages)
    if (messages.has('execution_interrupted')) return { kind: 'interrupted' }
    if (entry.status?.status_str === 'error') {
      return { kind: 'failed', failure: parseFailure(messages.get('execution_error')) }
    }
    const cached = cachedSchema.safeParse(messages.get('execution_cached'))
    return {
      kind: 'succeeded',
      outputs: Object.entries(entry.outputs).flatMap(([id, output]) => filesOf(id, output)),
      cached: cached.success ? cached.data.nodes : [],
    }
  }

  /** Takes the prompt out of the queue; one that runs or is unknown is left alone. */
  async removePending(promptId: string, signal?: AbortSignal): Promise<void> {
    await this.#command('queue', { delete: [promptId] }, signal)
  }

  /** Interrupts the prompt if it is the one that runs. */
  async interrupt(promptId: string, signal?: AbortSignal): Promise<void> {
    await this.#command('interrupt', { prompt_id: promptId }, signal)
  }

  /** Unloads the models and frees the memory, as soon as nothing runs. */
  async free(signal?: AbortSignal): Promise<void> {
    await this.#command('free', { unload_models: true, free_memory: true }, signal)
  }

  async stats(signal?: AbortSignal): Promise<ComfyStats> {
    const { system, devices } = await this.#get('system_stats', statsSchema, 10_000, signal)
    return { version: system.comfyui_version, devices }
  }

  /** Every node class that the server has, with its inputs. */
  objectInfo(signal?: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    return this.#get('object_info', z.record(z.string(), z.unknown()), 60_000, signal)
  }

  /** Fetches an output into a new file. */
  async view(output: ComfyOutput, path: string, options: ComfyDownloadOptions): Promise<void> {
    const { filename, subfolder, type } = output
    const query = new URLSearchParams({ filename, subfolder, type })
    const timeoutMs = 120_000
    try {
      await this.#fetcher.download(this.#url(`view?${query}`), path, {
        headers: this.#headers(),
        timeoutMs,
        ...options,
      })
    } catch (cause) {
      throw this.#translate('view', cause, timeoutMs)
    }
  }

  /**
   * Puts an image, or any other file, into the server's input folder under this name, over an older one.
   * What comes before the last `/` is a folder in there; it is made.
   * @returns the name that LoadImage takes
   */
  async upload(name: string, source: string | Uint8Array, signal?: AbortSignal): Promise<string> {
    const boundary = `subreel-${crypto.randomUUID()}`
    const slash = name.lastIndexOf('/')
    const folder = name.slice(0, Math.max(0, slash))
    const { head, tail } = multipart(boundary, folder, name.slice(slash + 1))
    const size = typeof source === 'string' ? (await stat(source)).size : source.length
    const { status, text } = await this.#call('upload/image', {
      method: 'POST',
      headers: {
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'content-length': String(head.length + size + tail.length),
      },
      body: Readable.from(parts(head, source, tail)),
      timeoutMs: 120_000,
      signal,
    })
    const uploaded = this.#read('upload/image', uploadedSchema, status, text)
    return uploaded.subfolder === '' ? uploaded.name : `${uploaded.subfolder}/${uploaded.name}`
  }

  async #get<T>(
    call: string,
    schema: z.ZodType<T>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { status, text } = await this.#call(call, { timeoutMs, signal })
    return this.#read(call, schema, status, text)
  }

  async #command(call: string, body: object, signal: AbortSignal | undefined): Promise<void> {
    const options = { ...post(JSON.stringify(body)), timeoutMs: 20_000, signal }
    const { status } = await this.#call(call, options)
    if (status !== 200) throw this.#status(call, status)
  }

  async #call(
    call: string,
    options: CallOptions,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { signal, ...rest } = options
    try {
      const response = await this.#fetcher.fetch(this.#url(call), {
        maxBytes: MAX_REPLY_BYTES,
        ...rest,
        headers: { ...rest.headers, ...this.#headers() },
        ...(signal === undefined ? {} : { signal }),
      })
      const chunks: Buffer[] = []
      for await (const chunk of response.body) chunks.push(chunk)
      return { status: response.status, text: Buffer.concat(chunks).toString('utf8') }
    } catch (cause) {
      throw this.#translate(call, cause, options.timeoutMs)
    }
  }

  #url(path: string): string {
    return new URL(path, this.server.url).href
  }

  #headers(): Record<string, string> {
    const { token } = this.server
    return token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }
  }

  #read<T>(call: string, schema: z.ZodType<T>, status: number, text: string): T {
    if (status !== 200) throw this.#status(call, status)
    const parsed = schema.safeParse(readPythonJson(text))
    if (parsed.success) return parsed.data
    throw new ComfyError(
      { code: 'COMFY_REPLY_BAD', server: this.server.name, call: nameOf(call) },
      `${this.server.name} answered ${nameOf(call)} with something that ComfyUI does not send`,
      { cause: parsed.error, retryable: true },
    )
  }

  #status(call: string, status: number): ComfyError {
    const where = { server: this.server.name, call: nameOf(call) }
    if (status === 401 || status === 403) {
      return new ComfyError(
        { code: 'COMFY_UNAUTHORIZED', ...where },
        `${where.server} refuses ${where.call} with status ${status}; check its token`,
        { retryable: true },
      )
    }
    return new ComfyError(
      { code: 'COMFY_STATUS', ...where, status },
      `${where.server} answered ${where.call} with status ${status}`,
      // A 4xx is about what was asked; a 5xx about the server.
      { retryable: status >= 500 || status === 429 },
    )
  }

  #refusal(text: string, workflow: Workflow): ComfyError {
    const server = this.server.name
    const parsed = refusalSchema.safeParse(readPythonJson(text))
    if (!parsed.success) return this.#status('prompt', 400)
    const { error, node_errors } = parsed.data
    const whole =
      typeof error === 'string' ? { type: 'refused', message: error, details: '' } : error
    const errors = flatten(node_errors)
    const fault = /^Node ID '#(.+)'$/.exec(whole.details)?.[1]
    if (errors.length === 0 && fault !== undefined) {
      const { type, message } = whole
      const classType = workflow[fault]?.class_type ?? 'unknown'
      errors.push({ nodeId: fault, classType, type, message })
    }
    const [first] = errors
    const where = first === undefined ? '' : `, node ${first.nodeId} (${first.classType})`
    const why = first?.message ?? whole.message
    return new ComfyError(
      { code: 'COMFY_PROMPT_REFUSED', server, type: whole.type, errors },
      `${server} refused the prompt${where}: ${why.slice(0, 500)}`,
    )
  }

  /** Our own abort passes as it is. */
  #translate(call: string, cause: unknown, timeoutMs: number): unknown {
    if (!(cause instanceof FetchError)) return cause
    const where = { server: this.server.name, call: nameOf(call) }
    switch (cause.data.code) {
      case 'FETCH_TIMEOUT':
      case 'FETCH_TOO_SLOW':
        return new ComfyError(
          { code: 'COMFY_TIMEOUT', ...where, timeoutMs },
          `${where.server} did not answer ${where.call} within ${timeoutMs} ms`,
          // Its cause is the abort of the deadline, which would make this look like an abort.
          { retryable: true },
        )
      case 'FETCH_TOO_LARGE':
        return new ComfyError(
          { code: 'COMFY_TOO_LARGE', ...where, limitBytes: cause.data.limitBytes },
          `what ${where.server} sends for ${where.call} is larger than ${cause.data.limitBytes} bytes`,
          { cause },
        )
      case 'FETCH_STATUS':
        return this.#status(call, cause.data.status)
      case 'FETCH_REDIRECTS':
        return this.#status(call, 302)
      default:
        return new ComfyError(
          { code: 'COMFY_UNREACHABLE', ...where },
          `${where.server} cannot be reached for ${where.call}`,
          { cause, retryable: true },
        )
    }
  }
}

function post(body: string): Pick<CallOptions, 'method' | 'body' | 'headers'> {
  return { method: 'POST', body, headers: { 'content-type': 'application/json' } }
}

/** The call without what varies: errors and logs name a closed set. */
function nameOf(call: string): string {
  return `/${/^[a-z_]+/.exec(call)?.[0] ?? ''}`
}

function flatten(errors: z.infer<typeof nodeErrorsSchema>): ComfyNodeError[] {
  return Object.entries(errors).flatMap(([nodeId, node]) =>
    node.errors.map((error) => {
      const input = error.extra_info.input_name
      return {
        nodeId,
        classType: node.class_type,
        type: error.type,
        message: [error.message, error.details].filter((part) => part !== '').join(': '),
        ...(input === undefined ? {} : { input }),
      }
    }),
  )
}

function multipart(boundary: string, folder: string, name: string): { head: Buffer; tail: Buffer } {
  const field = (key: string, value: string) =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`
  // As the HTML standard escapes file names of forms.
  const quoted = name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')
  const head = `${field('type', 'input')}${field('overwrite', 'true')}${folder === '' ? '' : field('subfolder', folder)}--${boundary}\r\ncontent-disposition: form-data; name="image"; filename="${quoted}"\r\ncontent-type: application/octet-stream\r\n\r\n`
  return { head: Buffer.from(head), tail: Buffer.from(`\r\n--${boundary}--\r\n`) }
}

async function* parts(
  head: Buffer,
  source: string | Uint8Array,
  tail: Buffer,
): AsyncGenerator<Uint8Array> {
  yield head
  if (typeof source === 'string') yield* createReadStream(source)
  else yield source
  yield tail
}
