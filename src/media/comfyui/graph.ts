import { z } from 'zod'

/** A node of a workflow in ComfyUI's API format. */
export interface WorkflowNode {
  readonly class_type: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly _meta?: { readonly title?: string | undefined } | undefined
}

/** A workflow in ComfyUI's API format: nodes by id. */
export type Workflow = Readonly<Record<string, WorkflowNode>>

/** `[node id, output index]`: the value comes from that output. */
export type Link = readonly [nodeId: string, output: number]

export const nodeSchema: z.ZodType<WorkflowNode> = z.strictObject({
  class_type: z.string().min(1).max(128),
  inputs: z.record(z.string().min(1).max(64), z.unknown()),
  _meta: z.strictObject({ title: z.string().max(256).optional() }).optional(),
})

const linkSchema = z.tuple([z.string(), z.number()])

/** The link that a value is, or undefined. ComfyUI takes every list of a string and a number for one. */
export function asLink(value: unknown): Link | undefined {
  const parsed = linkSchema.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

/** Whether `value` nests deeper than `max`. Walks without recursion; a circle counts as too deep. */
export function isDeeperThan(value: unknown, max: number): boolean {
  const open: [unknown, number][] = [[value, 0]]
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const [inner, depth] = item
    if (typeof inner !== 'object' || inner === null) continue
    if (depth >= max) return true
    for (const child of Object.values(inner)) open.push([child, depth + 1])
  }
  return false
}
