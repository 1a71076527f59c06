import { execFile } from 'node:child_process'
import { access, constants, mkdir, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { SystemClock } from '../../lib/clock.js'
import { GuardedFetcher } from '../../lib/http/index.js'
import { networkOf } from '../../neuron/index.js'
import { type Check, type CheckResult, fail, ok, warn } from './check.js'

const run = promisify(execFile)

async function output(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await run(command, [...args], { signal, timeout: 10_000, maxBuffer: 4 << 20 })).stdout
  } catch {
    return undefined
  }
}

export const nodeCheck: Check = {
  name: 'node',
  async run() {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    if (major > 20 || (major === 20 && minor >= 19)) return ok(`Node ${process.versions.node}`)
    return fail(`Node ${process.versions.node} is too old`, 'install Node 20.19 or newer')
  },
}

const ENCODERS = [
  { name: 'libsvtav1', use: 'AV1' },
  { name: 'libx265', use: 'HEVC' },
  { name: 'libx264', use: 'H.264' },
  { name: 'libvpx-vp9', use: 'VP9' },
] as const

export const ffmpegCheck: Check = {
  name: 'ffmpeg',
  async run({ config, signal }) {
    const path = config['ffmpeg.path']
    const version = await output(path, ['-hide_banner', '-version'], signal)
    if (version === undefined)
      return fail(`${path} does not run`, 'install ffmpeg or set ffmpeg.path')
    const encoders = (await output(path, ['-hide_banner', '-encoders'], signal)) ?? ''
    const missing = ENCODERS.filter(({ name }) => !encoders.includes(` ${name} `))
    const results: CheckResult[] = [ok(version.split('\n')[0] ?? path)]
    if (missing.length > 0) {
      const list = missing.map(({ name, use }) => `${name} (${use})`).join(', ')
      results.push(
        warn(
          `encoders missing: ${list}`,
          'use an ffmpeg build that has them; those codecs are refused',
        ),
      )
    }
    if (
      (await output(config['ffprobe.path'], ['-hide_banner', '-version'], signal)) === undefined
    ) {
      results.push(
        fail(`${config['ffprobe.path']} does not run`, 'install ffprobe or set ffprobe.path'),
      )
    }
    return results
  },
}

export const gpuCheck: Check = {
  name: 'gpu',
  async run({ config, signal }) {
    const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader']
    const found = (await output('nvidia-smi', query, signal))?.trim()
    if (found !== undefined && found !== '') return found.split('\n').map((line) => ok(line.trim()))
    if (config.device.startsWith('cuda')) {
      return fail(
        'no NVIDIA GPU answers',
        'install the driver (nvidia-smi must work) or set --device auto',
      )
    }
    return warn('no NVIDIA GPU; models run on the CPU', 'nothing, unless you expected one')
  },
}

const GIB = 2 ** 30

export const diskCheck: Check = {
  name: 'disk',
  async run({ config }) {
    const results: CheckResult[] = []
    for (const folder of [config['neuron.data_dir'], config['neuron.temp_dir'] ?? tmpdir()]) {
      try {
        await mkdir(folder, { recursive: true })
        await access(folder, constants.W_OK)
        const { bavail, bsize } = await statfs(folder)
        const freeGib = (bavail * bsize) / GIB
        const line = `${folder}: ${freeGib.toFixed(1)} GiB free`
        results.push(
          freeGib < 10 ? warn(line, 'keep at least 10 GiB free for working files') : ok(line),
        )
      } catch {
        results.push(fail(`${folder} cannot be written`, 'create it or choose another folder'))
      }
    }
    return results
  },
}

export const portsCheck: Check = {
  name: 'ports',
  async run({ config }) {
    const port = config['axon.port']
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, config['axon.ip'], () => server.close(() => resolve(true)))
    })
    if (free) return ok(`axon port ${port} is free`)
    return warn(
      `axon port ${port} is in use`,
      'fine if the miner is running; else choose another --axon.port',
    )
  },
}

/** Seconds by which a peer may be off before nonces are refused. */
const SKEW_LIMIT_SECONDS = 2

export const clockCheck: Check = {
  name: 'clock',
  async run({ config, signal }) {
    const url = (networkOf(config).endpoints[0] ?? '').replace(/^ws/, 'http')
    const fetcher = new GuardedFetcher({ allowPrivate: true })
    const clock = new SystemClock()
    try {
      const before = clock.now()
      const response = await fetcher.fetch(url, {
        method: 'GET',
        timeoutMs: 5_000,
        maxBytes: 65_536,
        signal,
      })
      response.body.destroy()
      const date = Date.parse(response.headers['date'] ?? '')
      if (Number.isNaN(date))
        return warn(`${new URL(url).host} names no time`, 'check the clock yourself (timedatectl)')
      // The Date header has a resolution of one second: its middle is the best guess.
      const skew = Math.abs(date + 500 - (before + clock.now()) / 2) / 1000
      const line = `clock is within ${skew.toFixed(1)} s of ${new URL(url).host}`
      if (skew <= SKEW_LIMIT_SECONDS) return ok(line)
      return fail(
        `clock is ${skew.toFixed(1)} s off ${new URL(url).host}`,
        'turn on NTP: timedatectl set-ntp true',
      )
    } catch {
      return warn('no time source could be reached', 'check the clock yourself (timedatectl)')
    }
  },
}
