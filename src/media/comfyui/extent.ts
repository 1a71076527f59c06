import { asLink, type WorkflowNode } from './graph.js'
import type { WorkflowLimits } from './limits.js'
import type { NodeRule } from './node-rule.js'

/** An upper bound of what a node makes: pixels and frames. */
export interface Extent {
  readonly width: number
  readonly height: number
  readonly frames: number
}

/** Sizes of latents are whole multiples of this many pixels. */
const GRAIN = 16

/**
 * Bounds what a node makes, from its own values and the bounds of the nodes it is linked to. So a chain
 * of repeats or enlargements is seen for what it adds up to, though each of its numbers is small.
 */
export function extentOf(
  node: WorkflowNode,
  rule: NodeRule,
  limits: WorkflowLimits,
  sourceOf: (nodeId: string) => Extent,
): Extent {
  const sources = Object.values(node.inputs).flatMap((value) => {
    const link = asLink(value)
    return link === undefined ? [] : [sourceOf(link[0])]
  })
  const values = (kind: string) =>
    Object.entries(rule.inputs).flatMap(([name, inputKind]) => {
      const value = Object.hasOwn(node.inputs, name) ? node.inputs[name] : undefined
      return inputKind.replace('?', '') === kind && typeof value === 'number' ? [value] : []
    })
  const largest = (own: number[], other: number) => (own.length > 0 ? Math.max(...own) : other)
  const product = (numbers: number[]) => numbers.reduce((all, one) => all * one, 1)
  const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0)

  const loaded = rule.loadsImage === true
  const frames = sources.map((source) => source.frames)
  const factor = product(values('scale')) * (rule.enlarges ?? 1)
  const width = Math.max(loaded ? limits.width : 0, ...sources.map((source) => source.width))
  const height = Math.max(loaded ? limits.height : 0, ...sources.map((source) => source.height))
  const count = rule.joins === true ? sum(frames) : Math.max(1, ...frames)
  // Servers round, and never to nothing: a hundred small reductions of one pixel leave one pixel.
  const scaled = (size: number) =>
    factor === 1 ? size : Math.ceil((size * factor) / GRAIN) * GRAIN
  return {
    width: scaled(largest(values('width'), width)) + sum(values('pad-x')),
    height: scaled(largest(values('height'), height)) + sum(values('pad-y')),
    frames: largest(values('frames'), count) * product([...values('batch'), ...values('repeat')]),
  }
}
