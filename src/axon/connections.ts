import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { networkOf } from './network.js'
import type { ConnectionLimits } from './options.js'
import { refuseBeforeStream } from './refuse-early.js'

/** Of all connections, those that addresses without a proved caller may hold. */
const STRANGERS_SHARE = 0.75

export interface DoorHooks {
  readonly shuns: (address: string) => boolean
  /** Whether somebody has proved who he is from this address. */
  readonly knows: (address: string) => boolean
  readonly onRefused: () => void
}

/**
 * Limits what sockets may do before any request is read: how many there are, how many of them one
 * address holds, and how long each part of a request may take. Strangers that only sit there, from
 * however many addresses, leave room for those who have been served before.
 */
export function limitConnections(server: Server, limits: ConnectionLimits, hooks: DoorHooks): void {
  server.maxConnections = limits.total
  server.headersTimeout = limits.headMs
  server.requestTimeout = limits.requestMs
  server.keepAliveTimeout = limits.idleMs
  server.on('drop', hooks.onRefused)
  const open = new Map<string, number>()
  const forStrangers = Math.ceil(limits.total * STRANGERS_SHARE)
  let total = 0
  const refuses = (address: string): boolean => {
    const refused =
      (open.get(networkOf(address)) ?? 0) >= limits.perAddress ||
      hooks.shuns(address) ||
      (total >= forStrangers && !hooks.knows(address))
    if (refused) hooks.onRefused()
    return refused
  }
  server.on('listening', () => refuseBeforeStream(server, refuses))
  // The HTTP server's own: it must not see the sockets that are refused here.
  const accept = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    if (refuses(address)) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const network = networkOf(address)
    open.set(network, (open.get(network) ?? 0) + 1)
    total += 1
    socket.once('close', () => {
      total -= 1
      const left = (open.get(network) ?? 1) - 1
      if (left > 0) open.set(network, left)
      else open.delete(network)
    })
    for (const listener of accept) listener.call(server, socket)
  })
}
