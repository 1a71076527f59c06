import { z } from 'zod'
import { defineSynapse } from '../synapse.js'
import { VersionSchema } from './common.js'

/**
 * Kinds of work a miner may warrant. The reference subnet knows the first two; its nodes ignore
 * `warrant_tasks`, ours read there that a miner does several kinds.
 */
export const WARRANT = { compression: 1, upscaling: 2, generation: 3, audio: 4 } as const
export type WarrantTask = (typeof WARRANT)[keyof typeof WARRANT]

const isWarrant = (value: number): value is WarrantTask =>
  (Object.values(WARRANT) as number[]).includes(value)

/** Asks a miner which kinds of work it does. Silence leaves `warrant_task` absent. */
export const TaskWarrant = defineSynapse({
  name: 'TaskWarrantProtocol',
  request: z.object({
    version: VersionSchema.optional(),
    warrant_task: z.int().optional(),
  }),
  response: z
    .object({
      version: VersionSchema.optional(),
      /** For reference validators, which know only 1 and 2. */
      warrant_task: z.literal([1, 2]).optional(),
      /** All kinds the miner does; an extension of ours. */
      warrant_tasks: z.array(z.int()).max(16).default([]),
    })
    .overwrite((response) => {
      const known = response.warrant_tasks.filter(isWarrant)
      const first = response.warrant_task
      const tasks = known.length === 0 && first !== undefined ? [first] : known
      const scalar = first ?? tasks.find((task): task is 1 | 2 => task === 1 || task === 2)
      return {
        ...response,
        ...(scalar === undefined ? {} : { warrant_task: scalar }),
        warrant_tasks: tasks,
      }
    }),
})

/** Clip lengths in seconds that the reference subnet allows. */
export const CONTENT_LENGTHS = [5, 10, 20] as const
export type ContentLength = (typeof CONTENT_LENGTHS)[number]

const lengthField = z.literal(CONTENT_LENGTHS).default(5)

/** Asks a miner for the longest clip it takes, in seconds. */
export const LengthCheck = defineSynapse({
  name: 'LengthCheckProtocol',
  request: z.object({ version: VersionSchema.optional(), max_content_length: lengthField }),
  response: z.object({ version: VersionSchema.optional(), max_content_length: lengthField }),
})
