import { z } from 'zod'
import type { ComfyOutput } from './types.js'

const fileSchema = z.object({
  filename: z.string().min(1),
  subfolder: z.string().default(''),
  type: z.string().default('output'),
})

/**
 * The files among a node's outputs: every item with a file name of every list, whatever the list is
 * called. SaveVideo puts videos under `images`, VHS_VideoCombine under `gifs`, audio nodes under `audio`.
 */
export function filesOf(nodeId: string, output: unknown): readonly ComfyOutput[] {
  if (typeof output !== 'object' || output === null) return []
  return Object.entries(output).flatMap(([key, list]: [string, unknown]) =>
    (Array.isArray(list) ? list : []).flatMap((item: unknown) => {
      const file = fileSchema.safeParse(item)
      return file.success ? [{ nodeId, key, ...file.data }] : []
    }),
  )
}
