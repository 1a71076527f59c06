import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionLimits } from './options.js'

/**
 * Limits what sockets may do before any request is read: how many there are, how many of them one
 * address holds, and how long each part of a request may take.
 */
export function limitConnections(
  server: Server,
  limits: ConnectionLimits,
  hooks: { readonly shuns: (address: string) => boolean; readonly onRefused: () => void },
): void {
  server.maxConnections = limits.total
  server.headersTimeout = limits.headMs
  server.requestTimeout = limits.requestMs
  server.keepAliveTimeout = limits.idleMs
  const open = new Map<string, number>()
  server.on('drop', hooks.onRefused)
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    if (hooks.shuns(address)) {
      hooks.onRefused()
      socket.destroy()
      return
    }
    const held = (open.get(address) ?? 0) + 1
    open.set(address, held)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left > 0) open.set(address, left)
      else open.delete(address)
    })
    if (held > limits.perAddress) {
      hooks.onRefused()
      socket.destroy()
    }
  })
}
