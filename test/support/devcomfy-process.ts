import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))

/** A stand-in for ComfyUI as a process of its own, as `subreel devcomfy` starts it. */
export class DevComfyProcess implements AsyncDisposable {
  readonly address: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, address: string) {
    this.#child = child
    this.address = address
  }

  static async start(...options: readonly string[]): Promise<DevComfyProcess> {
    const child = spawn(process.execPath, [CLI, 'devcomfy', '--port', '0', '--quiet', ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said: string[] = []
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      const address = /http:\/\/(\S+);/.exec(line)?.[1]
      if (address !== undefined) return new DevComfyProcess(child, address)
    }
    throw new Error(`devcomfy did not start: ${said.join(' ')}`)
  }

  /** Ids of the prompts that it has run, as its own history says. */
  async history(): Promise<readonly string[]> {
    const response = await fetch(`http://${this.address}/history`)
    return Object.keys((await response.json()) as object)
  }

  /** As a machine that loses its power: nothing is said and nothing is finished. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM')
  }
}
