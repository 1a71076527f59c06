export type { Workflow, WorkflowNode } from '../media/comfyui/graph.js'
export * from './errors.js'
export { loadWorkflow, SHIPPED_WORKFLOWS, WorkflowStore } from './store.js'
export {
  mappingSchema,
  type WorkflowMapping,
  WorkflowTemplate,
  type WorkflowValues,
  workflowSchema,
} from './template.js'
