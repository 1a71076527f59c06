import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const SCRIPTS = fileURLToPath(new URL('../../../test/interop/python/', import.meta.url))
const CACHE = fileURLToPath(new URL('../../../.cache/interop/', import.meta.url))

/** A Python helper of one SDK version: a plan in, JSON lines out. */
export class PythonHelper implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #home = mkdtempSync(join(tmpdir(), 'interop-'))
  #errors = ''

  constructor(sdk: string, script: string, plan: Record<string, unknown>, more: boolean) {
    this.#child = spawn(join(CACHE, `venv-${sdk}`, 'bin', 'python'), [join(SCRIPTS, script)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        // The SDK makes folders in its home and reads wallets there.
        HOME: this.#home,
        NO_PROXY: '127.0.0.1',
      },
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString('utf8')).slice(-4000)
    })
    const { stdin, stdout } = this.#child
    if (stdin === null || stdout === null) throw new Error('no pipes')
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]()
    stdin.write(`${JSON.stringify(plan)}\n`)
    if (!more) stdin.end()
  }

  /** The next line of JSON; the SDK's own log lines are passed over. */
  async next<T>(): Promise<T> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done === true) throw new Error(`the helper ended early: ${this.#errors}`)
      if (String(value).startsWith('{')) return JSON.parse(String(value)) as T
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000)
    await ended
    clearTimeout(timer)
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** Counts named checks and prints each. */
export class Report {
  #passed = 0
  #failed = 0

  async check(name: string, run: () => void | Promise<void>): Promise<void> {
    try {
      await run()
      this.#passed += 1
      console.log(`ok   ${name}`)
    } catch (error) {
      this.#failed += 1
      console.log(`FAIL ${name}\n     ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  end(): number {
    console.log(`${this.#passed} passed, ${this.#failed} failed`)
    return this.#failed === 0 ? 0 : 1
  }
}
