import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

/** What a run of requests gave. */
export interface Load {
  readonly requests: number
  readonly seconds: number
  /** Responses by status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Milliseconds, sorted. */
  readonly latencies: Float64Array
}

/** Of sorted values. */
export const quantile = (sorted: Float64Array, p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0

export const percentile = (load: Load, p: number): number => quantile(load.latencies, p)

const END = Buffer.from('\r\n\r\n')

/** One keep-alive connection that sends ready-made requests, one at a time. */
class Lane {
  #socket: Socket | undefined
  #pending: Buffer = Buffer.alloc(0)
  #done: ((status: number) => void) | undefined
  #failed: ((error: unknown) => void) | undefined
  readonly #port: number
  readonly #localAddress: string

  constructor(port: number, localAddress: string) {
    this.#port = port
    this.#localAddress = localAddress
  }

  async send(request: Buffer): Promise<number> {
    const socket = await this.#open()
    return new Promise((resolve, reject) => {
      this.#done = resolve
      this.#failed = reject
      socket.write(request)
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket
    const socket = connect({
      port: this.#port,
      host: '127.0.0.1',
      localAddress: this.#localAddress,
      noDelay: true,
    })
    await once(socket, 'connect')
    this.#pending = Buffer.alloc(0)
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    socket.on('error', (error) => this.#fail(error))
    this.#socket = socket
    return socket
  }

  #fail(error: unknown): void {
    const failed = this.#failed
    this.#done = undefined
    this.#failed = undefined
    failed?.(error)
  }

  #read(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const head = this.#pending.indexOf(END)
    if (head < 0) return
    const text = this.#pending.toString('latin1', 0, head)
    const length = Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0)
    if (this.#pending.length < head + 4 + length) return
    this.#pending = Buffer.alloc(0)
    const done = this.#done
    this.#done = undefined
    this.#failed = undefined
    if (/connection: close/i.test(text)) this.#socket?.destroy()
    done?.(Number(text.slice(9, 12)))
  }
}

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  /** The n-th request, or undefined to stop. Each connection takes the next when it is free. */
  readonly next: (connection: number) => Buffer | undefined | Promise<Buffer | undefined>
  /** Default 127.0.0.1. Anything in 127.0.0.0/8 looks like another caller. */
  readonly localAddress?: string
}

/** Sends requests over a number of connections until there are no more. */
export async function runLoad(options: LoadOptions): Promise<Load> {
  const { port, connections, next, localAddress = '127.0.0.1' } = options
  const latencies: number[] = []
  const statuses = new Map<number, number>()
  const started = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const lane = new Lane(port, localAddress)
      for (;;) {
        const request = await next(connection)
        if (request === undefined) break
        const sent = performance.now()
        const status = await lane.send(request).catch(() => 0)
        latencies.push(performance.now() - sent)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
      lane.close()
    }),
  )
  return {
    requests: latencies.length,
    seconds: (performance.now() - started) / 1000,
    statuses,
    latencies: Float64Array.from(latencies).sort(),
  }
}

const TICKS_PER_SECOND = 100

/** CPU seconds (user and system, all threads) a process has used so far. Linux. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory of a process, in bytes. Linux. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}
