import { z } from 'zod'
import type { Workflow } from './graph.js'

export interface MissingNode {
  readonly nodeId: string
  readonly classType: string
}

export interface MissingModel extends MissingNode {
  readonly input: string
  readonly name: string
}

/** What a workflow needs that a server does not have. */
export interface Missing {
  readonly nodes: readonly MissingNode[]
  readonly models: readonly MissingModel[]
}

const inputsSchema = z.record(z.string(), z.unknown())
const classSchema = z.object({
  input: z.object({ required: inputsSchema.optional(), optional: inputsSchema.optional() }),
})
const objectInfoSchema = z.record(z.string(), z.unknown())
/** `[[…names], …]` of older nodes and `["COMBO", { options: […names] }]` of newer ones. */
const choicesSchema = z.union([
  z.tuple([z.array(z.unknown())], z.unknown()).transform(([names]) => names),
  z
    .tuple([z.literal('COMBO'), z.object({ options: z.array(z.unknown()) })], z.unknown())
    .transform(([, { options }]) => options),
])
const MODEL_FILE = /\.(safetensors|sft|gguf|ckpt|pt|pth|bin|onnx)$/i

/**
 * Compares a workflow with a server's `/object_info`, and names every node class and every model file
 * that the server lacks. A model counts as there when the list of its own input has it.
 * @param objectInfo the parsed reply; an entry that is not understood has no lists, so its models are not compared
 * @throws ZodError when the reply is no object
 */
export function missingFrom(objectInfo: unknown, workflow: Workflow): Missing {
  const classes = new Map(Object.entries(objectInfoSchema.parse(objectInfo)))
  const nodes: MissingNode[] = []
  const models: MissingModel[] = []
  for (const [nodeId, node] of Object.entries(workflow)) {
    const classType = node.class_type
    if (!classes.has(classType)) {
      nodes.push({ nodeId, classType })
      continue
    }
    const known = classSchema.safeParse(classes.get(classType))
    if (!known.success) continue
    const inputs = new Map(
      Object.entries({ ...known.data.input.optional, ...known.data.input.required }),
    )
    for (const [input, name] of Object.entries(node.inputs)) {
      if (typeof name !== 'string' || !MODEL_FILE.test(name)) continue
      const choices = choicesSchema.safeParse(inputs.get(input))
      if (choices.success && !choices.data.includes(name)) {
        models.push({ nodeId, classType, input, name })
      }
    }
  }
  return { nodes, models }
}
