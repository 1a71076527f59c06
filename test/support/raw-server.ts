import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { Target } from 'subreel/dendrite'
import { KEYS } from './axon.js'

export interface RawServer {
  readonly target: Target
  close(): Promise<void>
}

async function listen(server: Server, sockets: Set<Socket>): Promise<RawServer> {
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  return {
    target: { hotkey: KEYS.bob.address, ip: '127.0.0.1', port },
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** A TCP server that answers the first bytes of a request however the test says. */
export const tcpServer = (answer: (socket: Socket) => void): Promise<RawServer> =>
  listen(
    createTcpServer((socket) => socket.once('data', () => answer(socket))),
    new Set(),
  )

/** A TCP server that writes these bytes and, if `end`, hangs up. */
export const replyServer = (bytes: string, end = true): Promise<RawServer> =>
  tcpServer((socket) => (end ? socket.end(bytes) : socket.write(bytes)))

/** An HTTP server that reads a request whole before it answers. */
export function httpServer(
  answer: (request: IncomingMessage, body: string, reply: ServerResponse) => void,
): Promise<RawServer> {
  const listener: RequestListener = (request, reply) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(request, Buffer.concat(chunks).toString('utf8'), reply))
  }
  return listen(createServer({ maxHeaderSize: 65_536 }, listener), new Set())
}

/** One HTTP/1.1 reply as bytes. */
export function http(status: number, headers: Record<string, string>, body: string): string {
  const all = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n${body}`
}
