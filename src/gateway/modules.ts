import type { FastifyRequest } from 'fastify'
import type { Logger } from '../lib/log.js'
import type { OrganicJobs } from '../queue/index.js'
import type { ObjectStore } from '../storage/index.js'
import type { Clients } from './clients.js'

export interface GatewayModules {
  readonly jobs: OrganicJobs
  readonly clients: Clients
  /** Where uploads go until a miner has fetched them. */
  readonly store: ObjectStore
  readonly log: Logger
}

/** The client of a request, once its key was checked. */
export type Admit = (request: FastifyRequest) => Promise<string>
