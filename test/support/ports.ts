import { createServer } from 'node:net'

/** A port that was free a moment ago, for servers that cannot listen on 0 themselves. */
export const freePort = (): Promise<number> => freeNeighbours(1)

/** Several distinct free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const first = await freeNeighbours(count)
  return Array.from({ length: count }, (_, i) => first + i)
}

/**
 * The first of `count` neighbouring free ports. Below those that the system hands out by itself: one of them is
 * some connection's before the server that it is meant for has started.
 */
export async function freeNeighbours(count: number): Promise<number> {
  for (;;) {
    const first = 12_000 + Math.floor(Math.random() * 20_000)
    const free = Array.from({ length: count }, (_, i) => isFree(first + i))
    if ((await Promise.all(free)).every(Boolean)) return first
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
