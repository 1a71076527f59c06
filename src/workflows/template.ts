import { z } from 'zod'
import { nodeSchema, type Workflow, type WorkflowNode } from '../media/comfyui/graph.js'
import { WorkflowStoreError } from './errors.js'

export const workflowSchema = z.record(z.string(), nodeSchema)

/** Where a value goes: the n-th node of a class as the file lists them (subnet 99's form), or a node by id. */
const targetSchema = z.union([
  z.strictObject({ node_id: z.string(), input_name: z.string() }),
  z.strictObject({
    node_type: z.string(),
    property: z.literal('inputs').default('inputs'),
    index: z.int().min(0).default(0),
    input_name: z.string(),
  }),
])
type Target = z.output<typeof targetSchema>

/** Values that workflows of subnet 99 and ours know, and where each goes. */
export const mappingSchema = z.record(
  z.string(),
  z.union([targetSchema, z.array(targetSchema).min(1)]),
)
export type WorkflowMapping = z.output<typeof mappingSchema>

/**
 * What a workflow may be given, by the names of subnet 99: `video_prompt`, `negative_prompt`, `image_url`,
 * `audio_url`, `seed`, `steps`, `width`, `height`, `frames`, `fps`; a mapping may have names of its own.
 */
export type WorkflowValues = Readonly<Record<string, string | number>>

interface Place {
  readonly nodeId: string
  readonly input: string
}

/** A workflow and the places of its values, checked against each other once. */
export class WorkflowTemplate {
  readonly name: string
  readonly workflow: Workflow
  readonly #places: ReadonlyMap<string, readonly Place[]>

  /**
   * `order` holds the node ids as the file lists them: objects move ids like "7" to the front.
   * @throws WorkflowStoreError WORKFLOWS_NODE_MISSING, WORKFLOWS_INPUT_MISSING
   */
  constructor(
    name: string,
    workflow: Workflow,
    mapping: WorkflowMapping,
    order: readonly string[] = Object.keys(workflow),
  ) {
    this.name = name
    this.workflow = workflow
    this.#places = new Map(
      Object.entries(mapping).map(([value, targets]) => [
        value,
        [targets].flat().map((target) => find(value, target, workflow, order)),
      ]),
    )
  }

  /** Names of the values it takes. */
  get values(): readonly string[] {
    return [...this.#places.keys()]
  }

  takes(value: string): boolean {
    return this.#places.has(value)
  }

  /**
   * The workflow with exactly these inputs replaced.
   * @throws WorkflowStoreError WORKFLOWS_VALUE_UNMAPPED, WORKFLOWS_VALUE_TYPE
   */
  fill(values: WorkflowValues): Workflow {
    const filled = new Map(Object.entries(this.workflow))
    for (const [value, given] of Object.entries(values)) {
      const places = this.#places.get(value)
      if (places === undefined) {
        throw new WorkflowStoreError(
          { code: 'WORKFLOWS_VALUE_UNMAPPED', value },
          `${this.name} does not take ${value}; it takes ${this.values.join(', ')}`,
        )
      }
      for (const { nodeId, input } of places) {
        const node = filled.get(nodeId)
        if (node === undefined || typeof node.inputs[input] !== typeof given) {
          throw new WorkflowStoreError(
            { code: 'WORKFLOWS_VALUE_TYPE', value, nodeId, input },
            `${value} must be a ${typeof node?.inputs[input]}`,
          )
        }
        filled.set(nodeId, { ...node, inputs: { ...node.inputs, [input]: given } })
      }
    }
    return Object.fromEntries(filled)
  }
}

function find(value: string, target: Target, workflow: Workflow, order: readonly string[]): Place {
  const wanted = 'node_id' in target ? target.node_id : `${target.node_type} number ${target.index}`
  const nodeId =
    'node_id' in target
      ? target.node_id
      : order.filter((id) => own(workflow, id)?.class_type === target.node_type)[target.index]
  const node = nodeId === undefined ? undefined : own(workflow, nodeId)
  if (nodeId === undefined || node === undefined) {
    throw new WorkflowStoreError(
      { code: 'WORKFLOWS_NODE_MISSING', value },
      `the mapping of ${value} names node ${wanted}, which the workflow does not have`,
    )
  }
  const input = target.input_name
  if (!Object.hasOwn(node.inputs, input)) {
    throw new WorkflowStoreError(
      { code: 'WORKFLOWS_INPUT_MISSING', value, nodeId, input },
      `the mapping of ${value} names input ${input}, which node ${nodeId} (${node.class_type}) does not have`,
    )
  }
  return { nodeId, input }
}

const own = (workflow: Workflow, id: string): WorkflowNode | undefined =>
  Object.hasOwn(workflow, id) ? workflow[id] : undefined
