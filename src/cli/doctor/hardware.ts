import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { type Check, ok, warn } from './check.js'

const run = promisify(execFile)

/** What a host has, in the units of the subnets' own tables. */
export interface Host {
  readonly cores: number
  readonly memoryGib: number
  readonly diskGib: number
  /** Of the largest GPU; 0 without one. */
  readonly vramGib: number
}

interface Demand extends Host {
  readonly name: string
  /** The name in `miner.tasks` of a miner that does this. */
  readonly task?: string
}

/** What the subnets' documents ask for, and what the embedded engines were measured with. */
export const DEMANDS: readonly Demand[] = [
  { name: 'upscaling', task: 'upscaling', cores: 2, memoryGib: 4, diskGib: 10, vramGib: 0 },
  { name: 'compression', task: 'compression', cores: 2, memoryGib: 4, diskGib: 10, vramGib: 0 },
  {
    name: 'generation at 480p',
    task: 'generation',
    cores: 8,
    memoryGib: 32,
    diskGib: 200,
    vramGib: 24,
  },
  { name: 'generation at 720p', cores: 8, memoryGib: 32, diskGib: 200, vramGib: 40 },
  { name: 'validating generation', cores: 16, memoryGib: 64, diskGib: 500, vramGib: 40 },
  { name: 'audio', task: 'audio', cores: 4, memoryGib: 16, diskGib: 500, vramGib: 12 },
]

/** A 24 GB card reports 23.99, a 32 GB host 31.2: what vendors round up is not held against them. */
const ROUNDING = 0.93

const NAMES = {
  cores: (n: number) => `${n} cores`,
  memoryGib: (n: number) => `${n} GB memory`,
  diskGib: (n: number) => `${n} GB disk`,
  vramGib: (n: number) => `${n} GB GPU memory`,
} as const

/** What a host lacks for a task, in words; empty when it fits. */
export function lacks(host: Host, demand: Host): string[] {
  return (Object.keys(NAMES) as (keyof Host)[])
    .filter((key) => host[key] < demand[key] * (key === 'cores' ? 1 : ROUNDING))
    .map((key) => NAMES[key](demand[key]))
}

async function vramGib(signal: AbortSignal): Promise<number> {
  try {
    const query = ['--query-gpu=memory.total', '--format=csv,noheader,nounits']
    const { stdout } = await run('nvidia-smi', query, { signal, timeout: 10_000 })
    return Math.max(0, ...stdout.trim().split('\n').map(Number)) / 1024
  } catch {
    return 0
  }
}

/** Compares this host with what each kind of work asks for. */
export const hardwareCheck: Check = {
  name: 'hardware',
  async run({ config, signal }) {
    // The folder need not exist yet: the one that will hold it does.
    const { bavail, bsize } = await statfs(config['neuron.data_dir']).catch(() => statfs('/'))
    const host: Host = {
      cores: availableParallelism(),
      memoryGib: totalmem() / 2 ** 30,
      diskGib: (bavail * bsize) / 2 ** 30,
      vramGib: await vramGib(signal),
    }
    const wanted = new Set(config['miner.tasks'])
    const verdicts = DEMANDS.map((demand) => ({ ...demand, missing: lacks(host, demand) }))
    const names = (fit: boolean) =>
      verdicts.filter(({ missing }) => (missing.length === 0) === fit).map(({ name }) => name)
    const small = names(false).length === 0 ? '' : `; too small for ${names(false).join(', ')}`
    return [
      ok(`fit for ${names(true).join(', ') || 'nothing'}${small}`),
      ...verdicts
        .filter(({ task, missing }) => task !== undefined && wanted.has(task) && missing.length > 0)
        .map(({ name, missing }) =>
          warn(`too small for ${name}`, `it asks for ${missing.join(', ')}`),
        ),
    ]
  },
}
