import { type AxonRoute, type HandlerContext, serve } from '../../axon/index.js'
import {
  type PollStatus,
  VideoCompressionJob,
  VideoCompressionPoll,
  VideoUpscalingJob,
  VideoUpscalingPoll,
} from '../../protocol/index.js'
import { jobId } from '../../queue/index.js'
import type { JobKind } from '../../queue/types.js'
import { refusing } from '../admission.js'
import {
  type CompressTask,
  compressTask,
  jobTaskId,
  resultUrls,
  type UpscaleTask,
  upscaleTask,
} from '../tasks.js'
import type { HandlerModules } from './modules.js'

/** Jobs that are acknowledged at once and asked for later, by the same caller and its own id. */
export function jobRoutes(modules: HandlerModules, jobTimeoutMs: number): AxonRoute[] {
  const accept = (
    kind: JobKind,
    id: string,
    makeTask: () => UpscaleTask | CompressTask,
    context: HandlerContext,
  ) =>
    refusing(
      async () => {
        modules.offer.require(kind)
        const { caller } = context
        const { duplicate } = await modules.queue.enqueue({
          kind,
          hotkey: caller.hotkey,
          taskId: jobTaskId(id),
          payload: makeTask(),
          stake: caller.peer?.stake ?? 0,
          timeoutMs: jobTimeoutMs,
        })
        modules.metrics?.replies.inc({ kind, code: 'OK' })
        modules.log.info({ event: 'job.accepted', kind, duplicate }, 'accepted a job')
        return { job_response: { accepted: true } }
      },
      (code) => modules.metrics?.replies.inc({ kind, code }),
    )

  return [
    serve({
      definition: VideoUpscalingJob,
      handler: ({ job_id, miner_payload }, context) =>
        accept('upscale', job_id, () => upscaleTask(miner_payload), context),
    }),
    serve({
      definition: VideoCompressionJob,
      handler: ({ job_id, miner_payload }, context) =>
        accept('compress', job_id, () => compressTask(miner_payload), context),
    }),
    serve({
      definition: VideoUpscalingPoll,
      handler: ({ job_id }, context) => poll(modules, job_id, context),
    }),
    serve({
      definition: VideoCompressionPoll,
      handler: ({ job_id }, context) => poll(modules, job_id, context),
    }),
  ]
}

/** `unknown` is not `failed`: the job never was, belongs to somebody else, or its result has ended. */
async function poll(modules: HandlerModules, id: string, context: HandlerContext) {
  const { queue, clock } = modules
  const view = await refusing(
    () => queue.view(jobId(context.caller.hotkey, jobTaskId(id))),
    () => {},
  )
  const answer = (status: PollStatus, urls: string[] = []) => ({
    poll_response: {
      job_id: id,
      status,
      optimized_video_urls: urls,
      optimized_video_url: urls[0] ?? '',
    },
  })
  if (view === undefined) return answer('unknown')
  if (view.state === 'waiting' || view.state === 'active') return answer('processing')
  if (view.state !== 'completed') return answer('failed')
  const urls = resultUrls(view.result, clock.now())
  return urls.some((url) => url !== '') ? answer('completed', urls) : answer('unknown')
}
