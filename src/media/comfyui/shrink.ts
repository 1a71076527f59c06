import type { Workflow, WorkflowNode } from './graph.js'
import { SHIPPED_NODES } from './node-rules.js'
import { STAND_INS, type StandIn } from './stand-ins.js'

/** How a workflow was changed so that it fits into memory. */
export type Reduction = 'tiles' | 'batch'

export interface Reduced {
  readonly workflow: Workflow
  readonly reduction: Reduction
}

/**
 * The same workflow with less need of memory, or undefined when there is nothing left to save. First the
 * decoder works in tiles, which changes next to nothing in the result; then batches are halved,
 * which gives fewer clips.
 */
export function smaller(workflow: Workflow): Reduced | undefined {
  const tiled = change(workflow, tileDecoder)
  if (tiled !== undefined) return { workflow: tiled, reduction: 'tiles' }
  const halved = change(workflow, halveBatch)
  return halved === undefined ? undefined : { workflow: halved, reduction: 'batch' }
}

const LEAST: Readonly<Record<string, unknown>> = { steps: 1, length: 5, batch_size: 1, seed: 0 }

/**
 * The same models and sizes with next to no work: one step, the fewest frames, another seed, so that
 * nothing of it is taken for the result of a real prompt. Files that a task would bring are replaced by
 * `files`, which the server must be given first.
 */
export function warmUpOf(workflow: Workflow): {
  readonly workflow: Workflow
  readonly files: readonly StandIn[]
} {
  const files = new Set<StandIn>()
  const entries = Object.entries(workflow).map(([id, node]) => {
    const file = STAND_INS[node.class_type]
    if (file !== undefined) files.add(file)
    const inputs = Object.entries(node.inputs).map(([name, value]) => {
      if (name === file?.input) return [name, file.name]
      const counts = typeof value === 'number' || typeof value === 'bigint'
      return [name, counts ? (LEAST[name] ?? value) : value]
    })
    return [id, { ...node, inputs: Object.fromEntries(inputs) }]
  })
  return { workflow: Object.fromEntries(entries), files: [...files] }
}

function change(
  workflow: Workflow,
  edit: (node: WorkflowNode) => WorkflowNode | undefined,
): Workflow | undefined {
  let changed = false
  const entries = Object.entries(workflow).map(([id, node]) => {
    const edited = edit(node)
    changed ||= edited !== undefined
    return [id, edited ?? node]
  })
  return changed ? Object.fromEntries(entries) : undefined
}

function tileDecoder(node: WorkflowNode): WorkflowNode | undefined {
  if (node.class_type !== 'VAEDecode') return undefined
  const tiles = { tile_size: 256, overlap: 64, temporal_size: 64, temporal_overlap: 8 }
  return { ...node, class_type: 'VAEDecodeTiled', inputs: { ...node.inputs, ...tiles } }
}

/** Of latents only: the batch of an image is its number of frames. */
function halveBatch(node: WorkflowNode): WorkflowNode | undefined {
  const batch = node.inputs['batch_size']
  const makesLatents = SHIPPED_NODES[node.class_type]?.outputs.includes('LATENT') === true
  if (!makesLatents || typeof batch !== 'number' || batch < 2) return undefined
  return { ...node, inputs: { ...node.inputs, batch_size: Math.floor(batch / 2) } }
}
