import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

const PM2 = resolve('node_modules/pm2/bin/pm2')

const Listed = z.array(
  z.object({
    name: z.string(),
    pid: z.number(),
    pm2_env: z.looseObject({ status: z.string(), restart_time: z.number() }),
  }),
)
export type Pm2App = z.infer<typeof Listed>[number]

/** The real pm2 with a daemon and a home of its own. */
export class Pm2 {
  readonly home: string
  readonly #env: NodeJS.ProcessEnv

  /** `env`: what apps find in their environment. */
  constructor(dir: string, env: Readonly<Record<string, string>>) {
    this.home = join(dir, 'pm2')
    this.#env = { PATH: process.env['PATH'], HOME: dir, PM2_HOME: this.home, ...env }
  }

  /** Runs one command of the `pm2` program; rejects when it fails. Returns what it printed. */
  async run(...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [PM2, ...args], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    if (code !== 0) throw new Error(`pm2 ${args.join(' ')} ended with ${code}: ${out}${err}`)
    return out
  }

  async app(name: string): Promise<Pm2App> {
    const out = await this.run('jlist')
    const found = Listed.parse(JSON.parse(out.slice(out.indexOf('[{')))).find(
      (app) => app.name === name,
    )
    if (found === undefined) throw new Error(`pm2 does not know ${name}`)
    return found
  }

  /** What an app has written to its standard output, one JSON line each. */
  async log(name: string): Promise<Record<string, unknown>[]> {
    const lines = await readFile(join(this.home, 'logs', `${name}-out.log`), 'utf8').catch(() => '')
    return lines
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
  }

  /** Ends the daemon and its apps. */
  async close(): Promise<void> {
    await this.run('kill')
  }
}
