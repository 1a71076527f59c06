import type { Server } from 'node:net'

/** A connection as the operating system gave it, before Node makes a stream of it. */
interface RawConnection {
  getpeername(into: { address?: string }): number
  close(): void
}

type OnConnection = (status: number, connection: RawConnection | undefined) => void

/**
 * Closes connections of unwanted addresses as they are accepted.
 *
 * Making a stream of a connection costs more than accepting it, and a flood over ever new connections
 * pays that each time. Node 20 has no public way to refuse earlier (a server's `blockList` is newer, and
 * can only grow), so this puts itself before the handle's callback. Where there is no such
 * handle nothing changes: whoever calls this still has to look at each socket.
 */
export function refuseBeforeStream(server: Server, refuses: (address: string) => boolean): void {
  const { _handle: handle } = server as unknown as {
    readonly _handle?: { onconnection?: OnConnection } | null
  }
  const accept = handle?.onconnection
  if (handle === undefined || handle === null || accept === undefined) return
  handle.onconnection = function (status, connection) {
    const peer: { address?: string } = {}
    if (status === 0 && connection?.getpeername?.(peer) === 0 && refuses(peer.address ?? '')) {
      connection.close()
      return
    }
    accept.call(this, status, connection)
  }
}
