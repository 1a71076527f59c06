import type { FastifyRequest } from 'fastify'
import type { Logger } from '../lib/log.js'
import type { OrganicJobs } from '../queue/index.js'
import type { Delivery, ObjectStore } from '../storage/index.js'
import type { Clients } from './clients.js'

export interface GatewayModules {
  readonly jobs: OrganicJobs
  readonly clients: Clients
  /** Takes uploads, and ends them. */
  readonly uploads: Pick<Delivery, 'deliver'>
  /** Where they lie; a built-in one is served under the gateway's own address. */
  readonly store: ObjectStore
  readonly log: Logger
}

/** The client of a request, once its key was checked. */
export type Admit = (request: FastifyRequest) => Promise<string>
