import { createServer, type IncomingMessage } from 'node:http'
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type InjectOptions,
  type LightMyRequestResponse,
} from 'fastify'
import type { Logger } from '../lib/log.js'
import type { Closable } from '../lib/resources.js'
import { Ping } from '../protocol/synapses/ping.js'
import { fault, type WireFault } from '../protocol/wire/fault.js'
import { limitConnections } from './connections.js'
import { AxonError } from './errors.js'
import { type AxonMetrics, createMetrics } from './metrics.js'
import { type AxonOptions, type AxonSettings, withDefaults } from './options.js'
import { Passage } from './passage.js'
import { Pipeline } from './pipeline.js'
import { sendReply } from './reply.js'
import { type AxonRoute, serve } from './types.js'

const NO_BYTES = new Uint8Array(0)
/** The property of a request for a synapse that holds its passage. */
const PASSAGE = 'passage'
/** Sockets are looked over so often for having taken too long, in milliseconds. */
const CHECK_CONNECTIONS_MS = 1000

/** Receives signed requests and answers them. Made by createAxon. */
export class Axon implements Closable {
  /** The server beneath, for tests and for routes of your own. */
  readonly app: FastifyInstance
  readonly #settings: AxonSettings
  readonly #routes: ReadonlyMap<string, AxonRoute>
  readonly #pipeline: Pipeline
  readonly #metrics: AxonMetrics
  readonly #log: Logger
  readonly #stopping = new AbortController()

  constructor(options: AxonOptions) {
    const settings = withDefaults(options)
    this.#settings = settings
    this.#log = settings.log.child({ component: 'axon' })
    this.#routes = routeTable(settings.synapses)
    this.#pipeline = new Pipeline(settings, {
      log: this.#log,
      metrics: () => this.#metrics,
      stopping: this.#stopping.signal,
    })
    const { scheduler } = this.#pipeline
    this.#metrics = createMetrics(settings.registry, {
      active: () => scheduler.active,
      waiting: () => scheduler.waiting,
      nonces: () => settings.nonceStore.size,
    })
    this.app = this.#build()
  }

  /** Opens the port. @throws AxonError AXON_LISTEN_FAILED */
  async listen(address: {
    /** Default all IPv4 addresses, as Python's axon. */
    readonly host?: string
    /** 0 takes a free one. */
    readonly port: number
  }): Promise<{ readonly host: string; readonly port: number }> {
    const { host = '0.0.0.0', port } = address
    try {
      await this.app.listen({ host, port })
    } catch (cause) {
      throw new AxonError(
        { code: 'AXON_LISTEN_FAILED', host, port },
        `the axon cannot listen on ${host}:${port}: choose a free port or stop what holds it`,
        { cause },
      )
    }
    const bound = this.app.server.address()
    const at = { host, port: bound !== null && typeof bound === 'object' ? bound.port : port }
    const synapses = [...this.#routes.keys()]
    this.#log.info({ event: 'axon.opened', ...at, synapses }, 'axon listens')
    return at
  }

  /** Sends a request through the whole pipeline without a socket, for tests. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse> {
    return this.app.inject(request)
  }

  /**
   * Stops taking requests, lets the running handlers finish within `graceMs` (default 5000), aborts
   * the rest and closes the sockets.
   */
  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const closed = this.app.close()
    await this.#pipeline.drain(options.graceMs ?? 5000)
    this.#stopping.abort(new DOMException('the axon stops', 'AbortError'))
    this.app.server.closeAllConnections()
    await closed
    await this.#settings.nonceStore.close()
    this.#log.info({ event: 'axon.closed' }, 'axon closed')
  }

  #build(): FastifyInstance {
    const { connections, mount } = this.#settings
    const app = fastify({
      bodyLimit: connections.bodyBytes,
      serverFactory: (handler) => {
        const server = createServer(
          {
            maxHeaderSize: connections.headerBytes,
            connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
          },
          handler,
        )
        limitConnections(server, connections, {
          shuns: (address) => this.#pipeline.shuns(address),
          knows: (address) => this.#pipeline.knows(address),
          onRefused: () => this.#metrics.connectionRefused(),
        })
        return server
      },
    })
    app.removeAllContentTypeParsers()
    // A property, not a WeakMap: that would keep each request alive until the next full collection.
    app.decorateRequest(PASSAGE, undefined)
    // JSON by its name, too: what falls to '*' is parsed as a media type each time.
    app.addContentTypeParser(
      ['application/json', '*'],
      { parseAs: 'buffer' },
      (_request, body, done) => done(null, body),
    )
    app.post<{ Params: { synapse: string } }>('/:synapse', {
      onRequest: (request, reply, done) => this.#onHead(request, reply, done),
      handler: (request) => this.#onBody(request),
    })
    app.setNotFoundHandler((request, reply) => this.#onUnknown(request, reply))
    app.setErrorHandler((error, request, reply) => this.#onError(error, request, reply))
    if (mount !== undefined) {
      app.register(async (scope) => {
        mount(scope)
      })
    }
    return app
  }

  #onHead(
    request: FastifyRequest<{ Params: { synapse: string } }>,
    reply: FastifyReply,
    done: () => void,
  ): void {
    const route = this.#routes.get(request.params.synapse)
    if (route === undefined) {
      this.#answer(
        request.raw,
        reply,
        fault('synapse-unknown', `Synapse name '${request.params.synapse}' not found`),
      )
      return
    }
    const { clock } = this.#settings
    const startedMs = clock.monotonic()
    const passage = new Passage(route, request.raw, reply, () => clock.monotonic() - startedMs)
    request.setDecorator(PASSAGE, passage)
    this.#pipeline.head(passage, done)
  }

  async #onBody(request: FastifyRequest): Promise<void> {
    const passage = request.getDecorator<Passage | undefined>(PASSAGE)
    const body = request.body instanceof Uint8Array ? request.body : NO_BYTES
    if (passage !== undefined) await this.#pipeline.body(passage, body)
  }

  #onUnknown(request: FastifyRequest, reply: FastifyReply): void {
    const path = request.url.split('?', 1)[0] ?? '/'
    if (this.#routes.has(path.slice(1))) {
      const refused = fault('method-refused', 'Method Not Allowed')
      this.#answer(request.raw, reply, refused, ['allow', 'POST'])
    } else {
      this.#answer(request.raw, reply, fault('synapse-unknown', 'Not Found'))
    }
  }

  /** What Fastify itself refuses: bodies too long, broken percent signs, requests cut short. */
  #onError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const stated = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    if (stated === 413) {
      this.#answer(request.raw, reply, fault('body-too-large', 'Body too large'))
    } else if (stated >= 400 && stated < 500) {
      this.#answer(request.raw, reply, fault('request-malformed', 'Bad request'))
    } else {
      this.#log.error({ event: 'request.failed', err: error }, 'a request failed in the server')
      this.#answer(request.raw, reply, fault('internal', 'Internal Server Error'))
    }
  }

  /** Answers what never became a passage. */
  #answer(
    raw: IncomingMessage,
    reply: FastifyReply,
    refused: WireFault,
    extra: readonly string[] = [],
  ): void {
    if (!reply.sent) reply.hijack()
    const { status, message } = refused
    const headers = ['content-type', 'application/json', ...extra]
    const hangUp = this.#pipeline.blame(refused, raw.socket.remoteAddress ?? '')
    sendReply(raw, reply.raw, { status, headers, body: JSON.stringify({ message }) }, hangUp)
    this.#metrics.ended('other', refused.code, 0)
  }
}

function routeTable(synapses: readonly AxonRoute[]): ReadonlyMap<string, AxonRoute> {
  const routes = new Map<string, AxonRoute>()
  for (const route of synapses) {
    const { name } = route.definition
    if (routes.has(name)) {
      throw new AxonError(
        { code: 'AXON_SYNAPSE_DUPLICATE', name },
        `two synapses are called ${name}: the name is the URL, and one axon serves one of each`,
      )
    }
    routes.set(name, route)
  }
  if (!routes.has(Ping.name)) {
    routes.set(Ping.name, serve({ definition: Ping, handler: () => ({}) }))
  }
  return routes
}

/**
 * An axon: the receiving end of a neuron. It listens after `listen`.
 *
 * @example
 * const axon = createAxon({ wallet, peers, synapses: [serve({ definition, handler })] })
 * await axon.listen({ port: 8091 })
 * @throws AxonError AXON_SYNAPSE_DUPLICATE, AXON_OPTION_INVALID
 */
export const createAxon = (options: AxonOptions): Axon => new Axon(options)

/** Thrown by a handler to turn its caller down: a status of 400 to 599 and a short sentence. */
export function refuse(
  status: number,
  message: string,
  options: { readonly retryAfterMs?: number } = {},
): AxonError {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`a refusal has a status in 400..599, got ${status}`)
  }
  return new AxonError(
    { code: 'AXON_REFUSED', status, retryAfterMs: options.retryAfterMs },
    message,
  )
}
