import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { must } from '#src/lib/errors.js'

/** A program of ours on a host of its own, and what it logged. */
export class HostedProcess {
  readonly log: Record<string, unknown>[] = []
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('{')) this.log.push(JSON.parse(line))
        child.emit('logged')
      })
  }

  /** Resolves when it says that it runs; rejects with its last words when it ends before. */
  async up(): Promise<this> {
    const running = () => this.log.some(({ event }) => event === 'process.started')
    while (!running()) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`ended before it was up: ${JSON.stringify(this.log.slice(-3))}`)
      await Promise.race([once(this.#child, 'logged'), once(this.#child, 'exit')])
    }
    return this
  }

  /** What it warned of, for the message of a failed test. */
  get complaints(): string {
    return this.log
      .filter(({ level }) => Number(level) >= 40)
      .map((line) => JSON.stringify(line))
      .join('\n')
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      return this.#child.exitCode
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
    return this.#child.exitCode
  }
}

const isRoot = process.platform === 'linux' && process.getuid?.() === 0

/** One machine: an address, folders of its own, and the way to run a program there. */
export interface Host {
  readonly ip: string
  readonly dir: string
  run(
    program: string,
    flags: readonly string[],
    env: Readonly<Record<string, string>>,
  ): HostedProcess
}

/**
 * Hosts on one wire. As root on Linux each is a network namespace, which reaches the others and
 * `center` by their addresses alone; elsewhere each is an address of loopback.
 */
export class Lab {
  readonly isolated: boolean
  /** Where this process, Redis, the store and the chain are. */
  readonly center: string
  readonly #id = `sb${process.pid}`
  readonly #net: string
  readonly #processes: HostedProcess[] = []
  #hosts = 0

  constructor() {
    // 198.18.0.0/15 is kept for tests between networks (RFC 2544).
    const net = `198.18.${process.pid % 250}`
    this.isolated = isRoot && this.#lay(`${net}.1/24`)
    this.#net = this.isolated ? net : '127.18.0'
    this.center = `${this.#net}.1`
  }

  /** Whether this kernel and these rights allow it is known by doing it. */
  #lay(address: string): boolean {
    try {
      ip('netns', 'add', this.#id)
      ip('netns', 'del', this.#id)
      ip('link', 'add', this.#id, 'type', 'bridge')
      ip('addr', 'add', address, 'dev', this.#id)
      ip('link', 'set', this.#id, 'up')
      return true
    } catch {
      return false
    }
  }

  /** A new host; its folders are below `base`. */
  async host(base: string, name: string): Promise<Host> {
    this.#hosts += 1
    const n = this.#hosts
    const address = `${this.#net}.${n + 1}`
    const space = `${this.#id}-${n}`
    if (this.isolated) {
      const [outside, inside] = [`${this.#id}o${n}`, `${this.#id}i${n}`]
      ip('netns', 'add', space)
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside)
      ip('link', 'set', inside, 'netns', space)
      ip('link', 'set', outside, 'master', this.#id, 'up')
      ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', inside)
      ip('-n', space, 'link', 'set', inside, 'up')
      ip('-n', space, 'link', 'set', 'lo', 'up')
    }
    const dir = join(base, name)
    await mkdir(join(dir, 'temp'), { recursive: true })
    return {
      ip: address,
      dir,
      run: (program, flags, more) => {
        const command = [process.execPath, program, ...flags]
        const words = this.isolated ? ['ip', 'netns', 'exec', space, ...command] : command
        const [file, ...args] = words
        const env = {
          PATH: process.env['PATH'],
          HOME: dir,
          SUBREEL_DATA_DIR: join(dir, 'data'),
          SUBREEL_TEMP_DIR: join(dir, 'temp'),
          ...more,
        }
        const child = spawn(must(file, 'program'), args, {
          env,
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const hosted = new HostedProcess(child)
        this.#processes.push(hosted)
        return hosted
      },
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((running) => running.end('SIGKILL')))
    if (!this.isolated) return
    // Its end of each pair goes with a namespace, the other end with it.
    for (let n = 1; n <= this.#hosts; n += 1) ip('netns', 'del', `${this.#id}-${n}`)
    ip('link', 'del', this.#id)
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', [...args], { stdio: 'pipe' })
}
