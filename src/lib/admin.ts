import Fastify, { type FastifyInstance } from 'fastify'
import { z } from 'zod'
import { deadline } from './clock.js'
import { describeError } from './errors.js'
import { LOG_LEVELS, type Logger } from './log.js'
import type { Registry } from './metrics.js'

/** Resolves when a dependency is usable; rejects with the reason when not. */
export type ReadinessCheck = (signal: AbortSignal) => Promise<void>

export interface AdminOptions {
  readonly name: string
  readonly log: Logger
  readonly registry: Registry
}

const CHECK_TIMEOUT_MS = 5_000

const LogLevelBody = z.object({ level: z.enum(LOG_LEVELS) })

/**
 * The admin server of every process, for the operator only (loopback unless set otherwise):
 * `GET /livez`, `GET /readyz` with a reason per dependency, `GET /metrics` (Prometheus text),
 * `PUT /log-level {"level": "debug"}`.
 */
export class AdminServer {
  readonly app: FastifyInstance
  readonly #checks = new Map<string, ReadinessCheck>()
  #draining = false

  constructor(options: AdminOptions) {
    this.app = Fastify({ bodyLimit: 4096, requestTimeout: 10_000, forceCloseConnections: true })
    this.app.get('/livez', async () => ({ status: 'ok', name: options.name }))
    this.app.get('/readyz', async (_request, reply) => {
      const dependencies = await this.#readiness()
      const ready = !this.#draining && Object.values(dependencies).every((state) => state === 'ok')
      reply.code(ready ? 200 : 503)
      return { status: ready ? 'ok' : this.#draining ? 'draining' : 'not ready', dependencies }
    })
    this.app.get('/metrics', async (_request, reply) => {
      reply.header('content-type', options.registry.contentType)
      return options.registry.metrics()
    })
    this.app.put('/log-level', async (request, reply) => {
      const body = LogLevelBody.safeParse(request.body)
      if (!body.success) {
        reply.code(400)
        return { error: `level must be one of ${LOG_LEVELS.join(', ')}` }
      }
      options.log.level = body.data.level
      options.log.info(
        { event: 'log.level-changed', level: body.data.level },
        'changed the log level',
      )
      return { level: body.data.level }
    })
  }

  /** Adds a dependency to /readyz. */
  addCheck(name: string, check: ReadinessCheck): void {
    this.#checks.set(name, check)
  }

  /** From now on /readyz answers 503, so that balancers stop sending work. */
  startDraining(): void {
    this.#draining = true
  }

  /** Listens; returns the port. */
  async listen(host: string, port: number): Promise<number> {
    await this.app.listen({ host, port })
    const address = this.app.server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  async close(): Promise<void> {
    await this.app.close()
  }

  async #readiness(): Promise<Record<string, string>> {
    const states = await Promise.all(
      [...this.#checks].map(async ([name, check]) => {
        try {
          await check(deadline(CHECK_TIMEOUT_MS))
          return [name, 'ok'] as const
        } catch (error) {
          return [name, describeError(error)] as const
        }
      }),
    )
    return Object.fromEntries(states)
  }
}
