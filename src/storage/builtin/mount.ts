import type { FastifyInstance } from 'fastify'
import { OBJECT_PATH } from './server.js'
import { BuiltinStore } from './store.js'

/**
 * Lets objects of a built-in store go out of a server that listens anyway: one port to open is enough.
 * Other stores serve their objects themselves, so nothing is mounted. `scope` must have no other routes.
 */
export function mountObjects(scope: FastifyInstance, store: unknown): void {
  if (!(store instanceof BuiltinStore)) return
  // The store reads a body itself, as it comes, under a cap of its own.
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
  scope.all(`${OBJECT_PATH}*`, async (request, reply) => {
    reply.hijack()
    await store.server.handle(request.raw, reply.raw)
  })
}
