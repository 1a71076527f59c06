import type { Workflow, WorkflowNode } from './graph.js'
import type { NodeProgress } from './messages.js'

/**
 * How far a prompt is, in [0, 1), never falling. Nodes count alike, but a sampler as much as its steps,
 * for that is where the time goes. 1 is left to the end itself.
 */
export class ProgressMeter {
  readonly #weights: ReadonlyMap<string, number>
  readonly #total: number
  readonly #done = new Map<string, number>()
  #fraction = 0

  constructor(workflow: Workflow) {
    this.#weights = new Map(Object.entries(workflow).map(([id, node]) => [id, weightOf(node)]))
    this.#total = [...this.#weights.values()].reduce((sum, weight) => sum + weight, 0)
  }

  get fraction(): number {
    return this.#fraction
  }

  /** Takes shares of nodes; true when the whole has risen. */
  take(nodes: readonly Pick<NodeProgress, 'nodeId' | 'fraction'>[]): boolean {
    for (const { nodeId, fraction } of nodes) {
      const known = this.#done.get(nodeId) ?? 0
      if (this.#weights.has(nodeId)) this.#done.set(nodeId, Math.max(known, fraction))
    }
    let sum = 0
    for (const [nodeId, fraction] of this.#done) sum += fraction * (this.#weights.get(nodeId) ?? 0)
    const fraction = Math.min(0.99, sum / Math.max(1, this.#total))
    if (fraction <= this.#fraction) return false
    this.#fraction = fraction
    return true
  }
}

function weightOf(node: WorkflowNode): number {
  const steps = node.inputs['steps']
  return typeof steps === 'number' && Number.isInteger(steps) && steps > 0
    ? Math.min(steps, 1000)
    : 1
}
