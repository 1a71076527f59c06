import { createHash } from 'node:crypto'
import { type AxonRoute, type HandlerContext, serve } from '../../axon/index.js'
import { Deadline } from '../../lib/clock.js'
import { packBigints } from '../../lib/exact-json.js'
import { withResolvers } from '../../lib/resources.js'
import { ComfySupport, VideoGenerationTask, VideoTask } from '../../protocol/index.js'
import { type JobView, jobId, type LiveFeed, QueueError } from '../../queue/index.js'
import type { WorkflowTemplate } from '../../workflows/index.js'
import { type GenerateTask, generationTaskId, taskResultSchema } from '../tasks.js'
import type { HandlerModules } from './modules.js'
import { statusOf } from './task.js'

/** Where callers can watch their tasks, as the answer names it. */
export interface LiveAddress {
  readonly host: string
  /** Of the socket; HTTP is on the next. */
  readonly port: number
  issue(jobId: string): string
}

export interface GenerateRoutesModules extends HandlerModules {
  readonly live: LiveFeed
  readonly address: LiveAddress | undefined
  /** Makes a video of a prompt alone; undefined where this miner has no such workflow. */
  readonly promptWorkflow: WorkflowTemplate | undefined
}

export interface GenerateRoutesOptions {
  readonly timeoutMs: number
  /** In TAO; a caller with less is answered 403. */
  readonly minStake: number
  /** Whether callers at an address are answered 403. */
  readonly isBlocked: (address: string) => boolean
  /** How long the answer may wait for a server to take or refuse the workflow, in milliseconds. Default 3 s. */
  readonly submitWaitMs?: number
}

/** The status and the error text inside an answer, as subnet 99's miners give them. */
type Refusal = { readonly status_code: 400 | 403 | 500; readonly error: string }

type VideoAnswer = Partial<Record<'prompt_id' | 'video_url' | 'metadata_url', string>>

/** Generation: workflows and prompts. */
export function generateRoutes(
  options: GenerateRoutesOptions,
  modules: GenerateRoutesModules,
): AxonRoute[] {
  const { queue, offer } = modules
  return [
    serve({
      definition: VideoTask,
      handler: async (request, context) => {
        const forbidden = whyForbidden(options, context)
        if (forbidden !== undefined) {
          return counted(modules, { status_code: 403, error: forbidden })
        }
        if (request.task_id === '' || Object.keys(request.workflow_params).length === 0) {
          const error = 'Missing task_id or workflow_params'
          return counted(modules, { status_code: 400, error })
        }
        const task = videoTask(request.workflow_params, request.upload_url, request.file_name)
        return videoTaskAnswer(modules, options, request.task_id, task, context)
      },
    }),
    serve({
      definition: VideoGenerationTask,
      handler: (request, context) => promptTask(modules, options, request, context),
    }),
    serve({
      definition: ComfySupport,
      handler: async () => {
        if (!offer.kinds.has('generate')) return { supports_comfy: false }
        const { maxConcurrent } = await queue.capacity('generate')
        return { supports_comfy: maxConcurrent > 0 }
      },
    }),
  ]
}

function whyForbidden(
  { minStake, isBlocked }: GenerateRoutesOptions,
  { caller }: HandlerContext,
): string | undefined {
  if (isBlocked(caller.address)) return 'IP is blacklisted'
  const stake = caller.peer?.stake ?? 0
  return stake < minStake ? `Stake below minimum: ${stake}` : undefined
}

const videoTask = (workflow: unknown, uploadUrl: string, fileName: string): GenerateTask => ({
  videos: [{ workflow: packBigints(workflow), uploadUrl, fileName }],
})

/** Answers once a server has taken the workflow or refused it, or after a short while without either. */
async function videoTaskAnswer(
  modules: GenerateRoutesModules,
  options: GenerateRoutesOptions,
  taskId: string,
  task: GenerateTask,
  context: HandlerContext,
) {
  const id = jobId(context.caller.hotkey, generationTaskId(taskId))
  const [video] = task.videos
  const taken = await take(modules, options.timeoutMs, taskId, task, context)
  if ('error' in taken) {
    // Whoever asks again, because the first answer was lost, learns where the task is.
    const known = taken.status_code === 400 ? await answerOf(modules, id) : {}
    return counted(modules, { ...taken, ...known, ...proxy(modules, id, taken.status_code) })
  }
  const first = await submission(modules, id, options.submitWaitMs ?? 3_000, context.signal)
  if (first?.state === 'failed') {
    await modules.queue.forget(id)
    const code = first.error?.code ?? 'INTERNAL'
    const refused = code === 'WORKFLOW_REFUSED'
    return counted(modules, {
      status_code: refused ? 400 : 500,
      error: refused
        ? `Workflow refused: ${first.error?.message}`.slice(0, 2_000)
        : `Failed to submit task to ComfyUI: ${code}`,
    })
  }
  const { submitted } = await modules.live.state(id)
  return counted(modules, {
    status_code: 200,
    video_url: video?.uploadUrl ?? '',
    prompt_id: submitted?.promptId ?? '',
    ...proxy(modules, id, 200),
  })
}

/** Puts the task into its lane. A task that failed or was cancelled may be sent again; no other. */
async function take(
  { queue, offer, live }: GenerateRoutesModules,
  timeoutMs: number,
  taskId: string,
  task: GenerateTask,
  { caller }: HandlerContext,
): Promise<Refusal | { readonly id: string }> {
  const none = (why: string): Refusal => ({
    status_code: 500,
    error: `No available ComfyUI servers: ${why}`,
  })
  if (!offer.kinds.has('generate')) return none('this miner does not take generation tasks')
  const request = {
    kind: 'generate',
    hotkey: caller.hotkey,
    taskId: generationTaskId(taskId),
    payload: task,
    stake: caller.peer?.stake ?? 0,
    timeoutMs,
  } as const
  try {
    const first = await queue.enqueue(request)
    if (!first.duplicate) return first
    const state = (await queue.view(first.id))?.state
    if (state !== 'failed' && state !== 'cancelled') {
      return { status_code: 400, error: 'Task already exists' }
    }
    await queue.forget(first.id)
    await live.forget(first.id)
    return await queue.enqueue(request)
  } catch (error) {
    if (error instanceof QueueError) return none(error.message)
    throw error
  }
}

/** The job once it was handed to a server or has ended; undefined when neither came in time. */
async function submission(
  { queue, live }: GenerateRoutesModules,
  id: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<JobView | undefined> {
  const over = new AbortController()
  using within = new Deadline(waitMs, AbortSignal.any([signal, over.signal]))
  const handed = withResolvers<undefined>()
  const stop = await live.watch(id, ({ kind }) => {
    if (kind === 'submitted') handed.resolve(undefined)
  })
  try {
    if ((await live.state(id)).submitted !== undefined) return undefined
    return await Promise.race([handed.promise, queue.wait(id, within.signal)])
  } catch (error) {
    if (within.signal.aborted && !signal.aborted) return undefined
    throw error
  } finally {
    over.abort()
    stop()
  }
}

/** What an answer can tell of a task that is there already. */
async function answerOf(modules: GenerateRoutesModules, id: string): Promise<VideoAnswer> {
  const { queue, live, clock } = modules
  const { submitted } = await live.state(id)
  const result = taskResultSchema.safeParse((await queue.view(id))?.result).data?.videos[0]
  const here = result?.ok === true && result.expiresAtMs > clock.now()
  return {
    prompt_id: submitted?.promptId ?? '',
    ...(here ? { video_url: result.url, metadata_url: result.metadataUrl ?? '' } : {}),
  }
}

function proxy({ address }: GenerateRoutesModules, id: string, status: number) {
  if (address === undefined || status >= 403) return {}
  const credential = address.issue(id)
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return {
    proxy_comfy_url: `ws://${host}:${address.port}/${id}/${credential}`,
    proxy_comfy_port: address.port,
    proxy_signature: credential,
    proxy_task_id: id,
    http_view_url: `http://${host}:${address.port + 1}/view/${id}/${credential}`,
  }
}

function counted<A extends { readonly status_code: number; readonly error?: string }>(
  { metrics, log }: GenerateRoutesModules,
  answer: A,
): A {
  const { status_code: status, error } = answer
  metrics?.replies.inc({ kind: 'generate', code: status === 200 ? 'OK' : String(status) })
  log.info({ event: 'generation.answered', status, reason: error }, 'answered a generation task')
  return answer
}

/** A prompt without a workflow: the first call takes it, later ones tell how it is. */
async function promptTask(
  modules: GenerateRoutesModules,
  options: GenerateRoutesOptions,
  request: { task_id?: string | undefined; prompt?: string | undefined; timeout_seconds: number },
  context: HandlerContext,
) {
  const { queue, clock, promptWorkflow } = modules
  const { task_id: taskId, prompt } = request
  if (taskId === undefined || taskId === '') return { status: 'failed' }
  const id = jobId(context.caller.hotkey, generationTaskId(taskId))
  const known = await queue.view(id)
  if (known === undefined && prompt !== undefined && promptWorkflow !== undefined) {
    if (whyForbidden(options, context) !== undefined) return { status: 'failed' }
    // The same task again, after a crash of ours, makes the same video.
    const seed = createHash('sha256').update(id).digest().readUIntBE(0, 6)
    const workflow = promptWorkflow.fill({ video_prompt: prompt, seed })
    const timeoutMs = Math.min(options.timeoutMs, request.timeout_seconds * 1_000)
    const task = videoTask(workflow, '', `${taskId}.mp4`)
    const taken = await take(modules, timeoutMs, taskId, task, context)
    return { status: 'error' in taken ? 'failed' : 'pending' }
  }
  if (known === undefined) return { status: 'failed' }
  const result = taskResultSchema.safeParse(known.result).data?.videos[0]
  const here = result?.ok === true && result.expiresAtMs > clock.now()
  return {
    status: statusOf(known).status,
    ...(here ? { s3_video_url: result.url, s3_metadata_url: result.metadataUrl } : {}),
  }
}
