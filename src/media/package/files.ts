import { z } from 'zod'
import { filesOf as filesOfNode } from '../comfyui/outputs.js'
import type { ComfyOutput } from '../comfyui/types.js'

/** A file that a workflow saved, where it lies on this machine. */
export interface OutputFile extends ComfyOutput {
  readonly path: string
  readonly sizeBytes: number
}

/** ComfyUI's outputs of a prompt: node id → list name → files. Lists of anything else stay as they are. */
export const outputsSchema = z.record(z.string(), z.record(z.string(), z.unknown()))
export type Outputs = z.output<typeof outputsSchema>

/** Every file that `outputs` names, in its order. */
export function filesOf(outputs: Outputs): ComfyOutput[] {
  return Object.entries(outputs).flatMap(([nodeId, lists]) => filesOfNode(nodeId, lists))
}

/** The other way round: what outputs.json says of these files. */
export function outputsOf(files: readonly ComfyOutput[]): Outputs {
  const outputs = new Map<string, Map<string, unknown[]>>()
  for (const { nodeId, key, filename, subfolder, type } of files) {
    const lists = outputs.get(nodeId) ?? new Map<string, unknown[]>()
    outputs.set(nodeId, lists.set(key, [...(lists.get(key) ?? []), { filename, subfolder, type }]))
  }
  return Object.fromEntries(
    [...outputs].map(([nodeId, lists]) => [nodeId, Object.fromEntries(lists)]),
  )
}

/** The name of a file within a package, as subnet 99 builds it. */
export const entryName = ({ nodeId, key, filename }: ComfyOutput): string =>
  `${nodeId}_${key}_${filename}`

const MAX_NAME_BYTES = 255
const UNSAFE = /[/\\\p{Cc}]/u

/** Whether a name stays in the folder that it is unpacked into, on every system. */
export function isPlainName(name: string): boolean {
  return (
    name.length > 0 &&
    Buffer.byteLength(name) <= MAX_NAME_BYTES &&
    !name.startsWith('.') &&
    !UNSAFE.test(name) &&
    !/^[A-Za-z]:/.test(name)
  )
}

/** A short extension with its dot, or '': the only part of a stranger's name that reaches a path of ours. */
export const extensionOf = (name: string): string =>
  /\.[A-Za-z0-9]{1,5}$/.exec(name)?.[0].toLowerCase() ?? ''
