export { BullJobQueue, type BullJobQueueModules, type BullJobQueueOptions } from './bull-queue.js'
export { BullWorkers, type BullWorkersModules, type BullWorkersOptions } from './bull-workers.js'
export { QueueError } from './errors.js'
export { jobId } from './job-id.js'
export { DEFAULT_PREFIX, DEFAULT_SETTINGS, type QueueSettings } from './lane.js'
export { type LiveEvent, LiveFeed, type LiveState } from './live.js'
export { createMetrics, type QueueMetrics } from './metrics.js'
export {
  ORGANIC_PRIORITIES,
  ORGANIC_STATES,
  type OrganicChange,
  type OrganicJob,
  OrganicJobs,
  type OrganicPriority,
  type OrganicRequest,
  type OrganicState,
} from './organic.js'
export {
  checkRedisFacts,
  connectProducer,
  connectWorker,
  type RedisFacts,
  redisFacts,
  whenReady,
} from './redis.js'
export type * from './types.js'
export { JOB_KINDS } from './types.js'
