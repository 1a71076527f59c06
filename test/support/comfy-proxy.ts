import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What becomes of an answer: it goes through, is lost with its connection, or is one of this status instead. */
export type Fate = 'pass' | 'lose' | number

/**
 * A way to a ComfyUI server that spoils answers. The server gets every request; `fateOf` is asked when
 * its answer is there, and for a socket before the server is.
 */
export async function comfyProxy(target: string, fateOf: (path: string) => Fate) {
  const [host, port] = target.split(':')
  const server = createServer((incoming, outgoing) => {
    const { url = '', method, headers } = incoming
    const onward = httpRequest({ host, port, path: url, method, headers }, (answer) => {
      const fate = fateOf(url)
      if (fate === 'pass') {
        outgoing.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(outgoing)
        return
      }
      answer.resume()
      if (fate === 'lose') incoming.socket.destroy()
      else outgoing.writeHead(fate).end()
    })
    onward.on('error', () => incoming.socket.destroy())
    incoming.pipe(onward)
  })
  server.on('upgrade', (incoming: IncomingMessage, socket, head) => {
    const fate = fateOf(incoming.url ?? '')
    if (fate !== 'pass') {
      socket.end(fate === 'lose' ? '' : `HTTP/1.1 ${fate} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    const onward = httpRequest({ host, port, path: incoming.url, headers: incoming.headers })
    onward.on('error', () => socket.destroy())
    onward.on('upgrade', (answer, far) => {
      const lines = Object.entries(answer.headers).map(([key, value]) => `${key}: ${value}`)
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`)
      far.on('error', () => socket.destroy())
      socket.on('error', () => far.destroy())
      far.pipe(socket).pipe(far)
      if (head.length > 0) far.write(head)
    })
    onward.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
