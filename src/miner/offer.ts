import { WARRANT, type WarrantTask } from '../protocol/index.js'
import type { JobKind } from '../queue/types.js'
import { MinerError } from './errors.js'

/** Names of kinds as operators write them, and what they are in the queue and on the wire. */
const TASKS = {
  upscaling: { kind: 'upscale', warrant: WARRANT.upscaling },
  compression: { kind: 'compress', warrant: WARRANT.compression },
  generation: { kind: 'generate', warrant: WARRANT.generation },
  audio: { kind: 'speech', warrant: WARRANT.audio },
} as const satisfies Record<string, { kind: JobKind; warrant: WarrantTask }>

export type TaskName = keyof typeof TASKS

/** What a kind of work is called outside. */
export const TASK_NAMES = Object.fromEntries(
  Object.entries(TASKS).map(([name, { kind }]) => [kind, name]),
) as Record<JobKind, TaskName>

/** What this miner does: told to validators, and the limit of what it takes. */
export class Offer {
  readonly kinds: ReadonlySet<JobKind>
  /** In the operator's order: the first is the one that old validators hear. */
  readonly warrants: readonly WarrantTask[]

  /** @throws MinerError MINER_CONFIG for a name that is none of the kinds */
  constructor(names: readonly string[]) {
    const tasks = names.map((name) => {
      const task = Object.entries(TASKS).find(([known]) => known === name)?.[1]
      if (task !== undefined) return task
      throw new MinerError(
        { code: 'MINER_CONFIG', setting: 'miner.tasks' },
        `miner.tasks knows ${Object.keys(TASKS).join(', ')}, not ${name}`,
      )
    })
    if (tasks.length === 0) {
      throw new MinerError({ code: 'MINER_CONFIG', setting: 'miner.tasks' }, 'miner.tasks is empty')
    }
    this.kinds = new Set(tasks.map((task) => task.kind))
    this.warrants = [...new Set(tasks.map((task) => task.warrant))]
  }

  /** @throws MinerError MINER_KIND_NOT_OFFERED */
  require(kind: JobKind): void {
    if (this.kinds.has(kind)) return
    const known = [...this.kinds].join(', ')
    throw new MinerError(
      { code: 'MINER_KIND_NOT_OFFERED', kind },
      `this miner does not take ${kind} tasks; it takes ${known}`,
    )
  }
}
