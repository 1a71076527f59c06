// Servers and daemons of the demo: each on a free loopback port, each stopped with the demo.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export async function freePort(host = '127.0.0.1') {
  const server = createServer()
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function until(condition, what, seconds) {
  const end = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${seconds} s`)
    await sleep(250)
  }
}

/** A program whose standard output is JSON log lines: emits each line under its event name. */
export class Daemon extends EventEmitter {
  constructor(name, args, { logDir, env = {} }) {
    super()
    this.name = name
    this.args = args
    this.env = env
    this.logFile = join(logDir, `${name}.log`)
    this.setMaxListeners(50)
  }

  /** Starts the program; resolves when it says that it is running. */
  async start(timeoutMs = 90_000) {
    const env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      ...this.env,
    }
    const child = spawn(process.execPath, this.args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.child = child
    const log = createWriteStream(this.logFile, { flags: 'a' })
    let errors = ''
    child.stderr.on('data', (chunk) => {
      errors = `${errors}${chunk}`.slice(-2000)
      log.write(chunk)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.write(`${line}\n`)
      try {
        const entry = JSON.parse(line)
        if (entry.event !== undefined) this.emit(entry.event, entry)
      } catch {}
    })
    const died = once(child, 'exit').then(([code, signal]) => {
      throw new Error(
        `${this.name} ended (${code ?? signal}) before it was up; see ${this.logFile}\n${errors}`,
      )
    })
    const late = new Promise((_, reject) => {
      setTimeout(
        () =>
          reject(
            new Error(`${this.name} was not up after ${timeoutMs / 1000} s; see ${this.logFile}`),
          ),
        timeoutMs,
      ).unref()
    })
    died.catch(() => {})
    late.catch(() => {})
    await Promise.race([once(this, 'process.started'), died, late])
    return this
  }

  get running() {
    return (
      this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
    )
  }

  /** SIGKILL, for it and the tools it started. */
  kill() {
    process.kill(-this.child.pid, 'SIGKILL')
  }

  /** Ends it: politely, then at once after ten seconds. */
  async stop(signal = 'SIGTERM') {
    if (!this.running) return
    const exited = once(this.child, 'exit')
    this.child.kill(signal)
    const timer = setTimeout(() => {
      try {
        process.kill(-this.child.pid, 'SIGKILL')
      } catch {}
    }, 10_000)
    await exited
    clearTimeout(timer)
  }
}

/** A Redis of the demo's own; one that the user runs is never touched. */
export async function startRedis(dir) {
  const port = await freePort()
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'yes',
    '--maxmemory-policy',
    'noeviction',
  ]
  const child = spawn('redis-server', args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('Ready to accept')) break
  child.stdout.resume()
  return {
    url: `redis://127.0.0.1:${port}`,
    async close() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}
