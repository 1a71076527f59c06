import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.js'
import type { ConnectionLimits } from './options.js'

/** Sockets of one shunned address that are held rather than closed. */
const HELD_PER_ADDRESS = 64

export interface DoorHooks {
  readonly shuns: (address: string) => boolean
  readonly onRefused: () => void
  /** A shunned socket is left unread for so long before it is closed, in milliseconds. */
  readonly holdMs: number
  readonly clock: Clock
}

/**
 * Limits what sockets may do before any request is read: how many there are, how many of them one
 * address holds, and how long each part of a request may take.
 *
 * A shunned address is made to wait, unheard: closed at once, it would be back at once, and taking
 * and closing a socket costs as much as an answer. Returns what lets go of those that wait.
 */
export function limitConnections(
  server: Server,
  limits: ConnectionLimits,
  hooks: DoorHooks,
): () => void {
  server.maxConnections = limits.total
  server.headersTimeout = limits.headMs
  server.requestTimeout = limits.requestMs
  server.keepAliveTimeout = limits.idleMs
  server.on('drop', hooks.onRefused)
  const open = new Map<string, number>()
  const held = new Set<Socket>()
  // The HTTP server's own: it must not see the sockets that are refused here.
  const accept = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (open.get(address) ?? 0) + 1
    open.set(address, count)
    socket.once('close', () => {
      held.delete(socket)
      const left = (open.get(address) ?? 1) - 1
      if (left > 0) open.set(address, left)
      else open.delete(address)
    })
    const shunned = hooks.shuns(address)
    if (!shunned && count <= limits.perAddress) {
      for (const listener of accept) listener.call(server, socket)
      return
    }
    hooks.onRefused()
    socket.on('error', () => {})
    if (!shunned || count > HELD_PER_ADDRESS) {
      socket.destroy()
      return
    }
    held.add(socket)
    socket.pause()
    const gone = new AbortController()
    socket.once('close', () => gone.abort())
    hooks.clock.sleep(hooks.holdMs, gone.signal).then(
      () => socket.destroy(),
      () => {},
    )
  })
  return () => {
    for (const socket of held) socket.destroy()
  }
}
