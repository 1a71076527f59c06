import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from './ports.js'

export interface RedisOptions {
  /** Default true: appendonly yes, appendfsync everysec. */
  readonly persistent?: boolean
  /** Default noeviction. */
  readonly policy?: string
  /** Default 127.0.0.1. */
  readonly host?: string
}

/** A real redis-server of the test's own, in a temporary folder, to be killed, paused and restarted. */
export class TestRedis {
  readonly port: number
  readonly #dir: string
  readonly #options: RedisOptions
  #process: ChildProcess | undefined

  private constructor(port: number, dir: string, options: RedisOptions) {
    this.port = port
    this.#dir = dir
    this.#options = options
  }

  static async start(options: RedisOptions = {}): Promise<TestRedis> {
    const dir = await mkdtemp(join(tmpdir(), 'subreel-redis-'))
    const redis = new TestRedis(await freePort(), dir, options)
    await redis.up()
    return redis
  }

  get #host(): string {
    return this.#options.host ?? '127.0.0.1'
  }

  get url(): string {
    return `redis://${this.#host}:${this.port}`
  }

  /** Starts the server on its port and folder; resolves when it accepts connections. */
  async up(): Promise<void> {
    const child = spawn(
      'redis-server',
      [
        ...['--port', String(this.port), '--bind', this.#host, '--dir', this.#dir, '--save', ''],
        ...['--appendonly', this.#options.persistent === false ? 'no' : 'yes'],
        ...['--appendfsync', 'everysec', '--protected-mode', 'no'],
        ...['--maxmemory-policy', this.#options.policy ?? 'noeviction'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    this.#process = child
    for await (const line of createInterface({ input: child.stdout })) {
      if (/Ready to accept connections/.test(line)) {
        child.stdout.resume()
        return
      }
    }
    throw new Error('redis-server ended before it was ready')
  }

  /** SIGKILL: what was written survives in the append only file. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** The part of the append-only file that grows, of a server that is down. */
  async appendOnlyFile(): Promise<{ path: string; sizeBytes: number }> {
    const folder = join(this.#dir, 'appendonlydir')
    const names = await readdir(folder)
    const name = names.find((entry) => entry.endsWith('.incr.aof'))
    if (name === undefined) throw new Error(`no append-only file among ${names.join()}`)
    const path = join(folder, name)
    return { path, sizeBytes: (await stat(path)).size }
  }

  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async close(): Promise<void> {
    this.resume()
    await this.kill()
    await rm(this.#dir, { recursive: true, force: true })
  }
}
