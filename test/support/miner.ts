import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createDendrite, type Dendrite, type Target } from '#src/dendrite/index.js'
import { signerFromUri } from '#src/wallet/index.js'
import { freeNeighbours } from './ports.js'

const SCRIPT = fileURLToPath(new URL('./miner-process.js', import.meta.url))

export interface MinerSetup {
  readonly redisUrl: string
  /** Data and working files; several processes may share it. */
  readonly dir: string
  readonly port: number
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The program; by default the miner with ffmpeg for an engine and a chain that stands still. */
  readonly program?: string
}

const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url))

/** The programs as they ship. */
export const SHIPPED = {
  miner: join(DIST, 'miner.js'),
  validator: join(DIST, 'validator.js'),
  deleter: join(DIST, 'services', 'deleter', 'main.js'),
  gateway: join(DIST, 'services', 'gateway', 'main.js'),
  upscaler: join(DIST, 'services', 'upscaler', 'main.js'),
  compressor: join(DIST, 'services', 'compressor', 'main.js'),
  scorer: join(DIST, 'services', 'scorer', 'main.js'),
} as const

/** A running miner process and what it logged. */
export class MinerProcess {
  readonly log: Record<string, unknown>[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()

  private constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.log.push(JSON.parse(line))
        for (const look of this.#waiting) look()
      })
    }
  }

  /** Resolves when the process says that it is up. */
  static start(setup: MinerSetup): Promise<MinerProcess> {
    return MinerProcess.run(
      setup.program ?? SCRIPT,
      setup.dir,
      [
        ...['--netuid', '1', '--redis.url', setup.redisUrl, '--axon.port', String(setup.port)],
        ...['--axon.ip', '127.0.0.1', '--axon.external_ip', '127.0.0.1', '--allow-private-urls'],
        ...[
          '--neuron.data_dir',
          join(setup.dir, 'data'),
          '--neuron.temp_dir',
          join(setup.dir, 'temp'),
        ],
        ...['--miner.min_free_mb', '1', '--shutdown.grace_seconds', '5'],
        ...(setup.flags ?? []),
      ],
      setup.env,
    )
  }

  /** Any of the package's processes. */
  static async run(
    program: string,
    home: string,
    flags: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ): Promise<MinerProcess> {
    const env = { PATH: process.env['PATH'], HOME: home, NODE_ENV: 'test', ...more }
    const child = fork(program, flags, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    const miner = new MinerProcess(child)
    const ended = once(child, 'exit').then(([code, signal]) => {
      const last = miner.log.slice(-5).map((line) => JSON.stringify(line))
      throw new Error(`the process ended (${code ?? signal}) before it was up: ${last.join('\n')}`)
    })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return miner
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** SIGSTOP: its connections stay open and nothing answers. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** The first log line of that event, past or to come. */
  event(name: string, timeoutMs = 30_000): Promise<Record<string, unknown>> {
    return this.line((line) => line['event'] === name, name, timeoutMs)
  }

  /** A video that failed with that code, past or to come: an answer may be here before its log line. */
  failure(code: string): Promise<Record<string, unknown>> {
    const is = (line: Record<string, unknown>) =>
      line['event'] === 'video.failed' && line['code'] === code
    return this.line(is, `video.failed with ${code}`)
  }

  /** The first log line of which `is` holds, past or to come. */
  async line(
    is: (line: Record<string, unknown>) => boolean,
    what: string,
    timeoutMs = 30_000,
  ): Promise<Record<string, unknown>> {
    const find = () => this.log.find(is)
    const timeout = AbortSignal.timeout(timeoutMs)
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find()
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      timeout.addEventListener('abort', () => reject(new Error(`no ${what} in the log`)))
      this.#waiting.add(look)
      look()
    })
  }

  /** SIGKILL unless another signal is named; resolves with the exit code when it is gone. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    if (!this.running) return this.#child.exitCode
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
    return this.#child.exitCode
  }
}

/** Serves the files of one folder, for miners to fetch. */
export class ClipServer {
  readonly #server: Server
  #origin = ''

  private constructor(dir: string) {
    this.#server = createServer((request, response) => {
      const path = join(dir, basename(new URL(request.url ?? '/', 'http://x').pathname))
      stat(path).then(
        ({ size }) => {
          response.writeHead(200, { 'content-length': size, 'content-type': 'video/mp4' })
          createReadStream(path).pipe(response)
        },
        () => response.writeHead(404).end(),
      )
    })
  }

  static async start(dir: string, host = '127.0.0.1'): Promise<ClipServer> {
    const server = new ClipServer(dir)
    await new Promise<void>((resolve) => server.#server.listen(0, host, resolve))
    const address = server.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    server.#origin = `http://${host}:${address.port}`
    return server
  }

  url(path: string, query = ''): string {
    return `${this.#origin}/${basename(path)}${query}`
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

export const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/media', import.meta.url))

/** Where a miner may listen; it takes the two ports above for those who watch their tasks. */
export async function minerTarget(): Promise<Target> {
  const port = await freeNeighbours(3)
  return { hotkey: signerFromUri('//Alice').address, ip: '127.0.0.1', port }
}

export const caller = (uri: string): Dendrite =>
  createDendrite({ wallet: signerFromUri(uri), allowPrivate: true })

/** A folder that is removed with everything in it. */
export async function scratch(): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'subreel-e2e-'))
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) }
}
