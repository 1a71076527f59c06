/** What planning needs to know of a server. */
export interface Candidate {
  readonly name: string
  /** Prompts that it may be given now. */
  readonly freeSlots: number
  /** Until what it has been given is done, in milliseconds. */
  readonly busyMs: number
  /** Servers of one group share a graphics card: each that works slows the others down. */
  readonly group: string
  /** Whether it works now. */
  readonly working: boolean
  /** Free memory of its graphics card, in bytes. Decides between equals. */
  readonly vramFree: number
}

/** How long a job takes on a server that has its card to itself, in milliseconds; undefined when it can't run there. */
export type Cost<S, J> = (server: S, job: J) => number | undefined

/** Times as close as this are equal: estimates are no better. */
const EQUAL = 0.05

/** The server that would finish the job first, or undefined when none can run it. Pure. */
export function chooseServer<S extends Candidate, J>(
  servers: readonly S[],
  job: J,
  cost: Cost<S, J>,
): S | undefined {
  return new Plan(servers, cost).choose(job)?.server
}

/**
 * Goes through the waiting jobs, first come first, and gives each to the server that would finish it
 * first, what was given before it counted. Those whose server has a free slot are returned: they start
 * now. The others wait for theirs, so that a slow server gets no job that a fast one, though busy, would
 * finish sooner, and still gets its share of a long queue. Pure.
 */
export function planStarts<S extends Candidate, J>(
  servers: readonly S[],
  jobs: readonly J[],
  cost: Cost<S, J>,
): readonly { readonly job: J; readonly server: S }[] {
  const plan = new Plan(servers, cost)
  const starts: { job: J; server: S }[] = []
  for (const job of jobs) {
    const choice = plan.choose(job)
    if (choice === undefined) continue
    if (plan.take(choice)) starts.push({ job, server: choice.server })
  }
  return starts
}

interface Choice<S> {
  readonly server: S
  readonly doneAt: number
}

class Plan<S extends Candidate, J> {
  readonly #servers: readonly S[]
  readonly #cost: Cost<S, J>
  readonly #doneAt: Map<S, number>
  readonly #slots: Map<S, number>
  readonly #working: Set<S>

  constructor(servers: readonly S[], cost: Cost<S, J>) {
    this.#servers = servers
    this.#cost = cost
    this.#doneAt = new Map(servers.map((server) => [server, server.busyMs]))
    this.#slots = new Map(servers.map((server) => [server, server.freeSlots]))
    this.#working = new Set(servers.filter((server) => server.working))
  }

  choose(job: J): Choice<S> | undefined {
    let best: Choice<S> | undefined
    for (const server of this.#servers) {
      const alone = this.#cost(server, job)
      if (alone === undefined) continue
      const sharing = this.#servers.filter(
        (other) => other !== server && other.group === server.group && this.#working.has(other),
      ).length
      const doneAt = (this.#doneAt.get(server) ?? 0) + alone * (1 + sharing)
      if (best === undefined || isBetter({ server, doneAt }, best)) best = { server, doneAt }
    }
    return best
  }

  /** Gives the server the job; true when it can start at once. */
  take({ server, doneAt }: Choice<S>): boolean {
    const slots = this.#slots.get(server) ?? 0
    this.#doneAt.set(server, doneAt)
    this.#working.add(server)
    this.#slots.set(server, slots - 1)
    return slots > 0
  }
}

function isBetter<S extends Candidate>(one: Choice<S>, other: Choice<S>): boolean {
  const margin = EQUAL * Math.max(one.doneAt, other.doneAt)
  if (Math.abs(one.doneAt - other.doneAt) > margin) return one.doneAt < other.doneAt
  return one.server.vramFree > other.server.vramFree
}
