export type { ComfyQueue, ComfyStats } from './api.js'
export { ComfyClient, type ComfyClientOptions } from './client.js'
export * from './errors.js'
export { type FirewallOptions, WorkflowFirewall, type WorkflowNeeds } from './firewall.js'
export type { Link, Workflow, WorkflowNode } from './graph.js'
export { type FetchedInputs, fetchInputs } from './inputs.js'
export { DEFAULT_LIMITS, type WorkflowLimits } from './limits.js'
export { type Missing, type MissingModel, type MissingNode, missingFrom } from './missing.js'
export type { InputKind, NodeRule } from './node-rule.js'
export { SHIPPED_NODES } from './node-rules.js'
export {
  DEFAULT_COMFY_SERVER,
  type OpenComfyOptions,
  openComfyPool,
  readNodeRules,
} from './open.js'
export {
  ComfyPool,
  type ComfyPoolModules,
  type ComfyPoolOptions,
  type ComfyServerStatus,
  type ComfyWarmUp,
} from './pool.js'
export { type Rendered, type RenderModules, type RenderOptions, renderWorkflow } from './render.js'
export { type ComfyServer, parseComfyServers } from './server.js'
export type {
  ComfyDownloadOptions,
  ComfyInput,
  ComfyOutput,
  ComfyPreview,
  ComfyProgress,
  ComfyRun,
  ComfyRunner,
  ComfyRunOptions,
} from './types.js'
