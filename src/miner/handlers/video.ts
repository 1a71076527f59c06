import { type AxonRoute, type HandlerContext, serve } from '../../axon/index.js'
import { Deadline } from '../../lib/clock.js'
import { VideoCompression, VideoUpscaling } from '../../protocol/index.js'
import type { JobKind, JobView } from '../../queue/types.js'
import { refusing } from '../admission.js'
import {
  type CompressTask,
  compressTask,
  resultUrls,
  taskIdOf,
  type UpscaleTask,
  upscaleTask,
} from '../tasks.js'
import type { HandlerModules } from './modules.js'

/** The answer leaves this long before the caller's time is over, in milliseconds. */
const REPLY_MARGIN_MS = 750
const MIN_TIMEOUT_MS = 1_000

/** Upscaling and compression within one call: the caller waits for the URLs. */
export function videoRoutes(modules: HandlerModules): AxonRoute[] {
  return [
    serve({
      definition: VideoUpscaling,
      handler: async ({ round_id, miner_payload, version }, context) => {
        const task = upscaleTask(miner_payload)
        const urls = await work(modules, 'upscale', task, round_id, context)
        return reply(version, urls)
      },
    }),
    serve({
      definition: VideoCompression,
      handler: ({ round_id, miner_payload, version }, context) =>
        refusing(
          async () => {
            const task = compressTask(miner_payload)
            const urls = await work(modules, 'compress', task, round_id, context)
            return reply(version, urls)
          },
          (code) => modules.metrics?.replies.inc({ kind: 'compress', code }),
        ),
    }),
  ]
}

type Version = { major: number; minor: number; patch: number }

const reply = (version: Version | undefined, urls: string[]) => ({
  ...(version === undefined ? {} : { version }),
  miner_response: { optimized_video_urls: urls, optimized_video_url: urls[0] ?? '' },
})

async function work(
  modules: HandlerModules,
  kind: JobKind,
  task: UpscaleTask | CompressTask,
  roundId: string | undefined,
  context: HandlerContext,
): Promise<string[]> {
  const { queue, offer, clock, metrics, log } = modules
  const blank = task.videos.map(() => '')
  const timeoutMs = Math.max(MIN_TIMEOUT_MS, context.timeoutMs - REPLY_MARGIN_MS)
  const view = await refusing(
    async () => {
      offer.require(kind)
      const request = {
        kind,
        hotkey: context.caller.hotkey,
        taskId: taskIdOf(roundId, task),
        payload: task,
        stake: context.caller.peer?.stake ?? 0,
        timeoutMs,
      }
      const first = await queue.enqueue(request)
      if (first.duplicate && isOver(await queue.view(first.id), clock.now())) {
        await queue.forget(first.id)
        await queue.enqueue(request)
      }
      return waitFor(modules, first.id, timeoutMs, context.signal)
    },
    (code) => metrics?.replies.inc({ kind, code }),
  )
  const urls = view?.state === 'completed' ? resultUrls(view.result, clock.now()) : []
  const padded = blank.map((empty, index) => urls[index] ?? empty)
  const good = padded.filter((url) => url !== '').length
  const code = good === padded.length ? 'OK' : good > 0 ? 'PARTIAL' : (view?.error?.code ?? 'LATE')
  metrics?.replies.inc({ kind, code })
  log.info(
    { event: 'task.answered', kind, jobId: view?.id, code, good, of: padded.length },
    'answered a task',
  )
  return padded
}

/** A result that was already delivered and has ended since: the same task again means work again. */
function isOver(view: JobView | undefined, nowMs: number): boolean {
  if (view?.state !== 'completed') return false
  return resultUrls(view.result, nowMs).every((url) => url === '')
}

/** The job's end, or undefined when it comes too late for this caller. */
async function waitFor(
  { queue }: HandlerModules,
  id: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<JobView | undefined> {
  using within = new Deadline(timeoutMs, signal)
  try {
    return await queue.wait(id, within.signal)
  } catch (error) {
    if (within.expired) return undefined
    throw error
  }
}
