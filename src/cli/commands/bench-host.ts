import { readFile, rename, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { withNumbers } from '../../config/index.js'
import type { Codec, Engine, VideoResult } from '../../engines/index.js'
import { SystemClock } from '../../lib/clock.js'
import { silentLog } from '../../lib/log.js'
import { chooseSlots, measureSlots } from '../../miner/bench-host.js'
import { configuredEngines } from '../../miner/engines.js'
import { parseWords } from '../chain-command.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

const USAGE = `usage: subreel bench-host [options] [settings]

Measures how many tasks this host should run at once, with the engines that a miner of these settings
would use on a short clip made on the spot, and prints its settings or sets them in its configuration file.

  --frames N     frames of the clip (default 12)
  --codec NAME   av1 (default), hevc, h264 or vp9: what compression is measured with
  --write FILE   set them in this TOML file, which is made when it is not there
  --json         print the measurements as JSON`

const KNOWN: readonly Codec[] = ['av1', 'hevc', 'h264', 'vp9']

export const command: Command = {
  summary: 'measure how many tasks this host should run at once',
  usage: USAGE,

  async run(argv, io) {
    const { config, positionals, switches, values } = parseWords('bench-host', argv, io, {
      values: ['--frames', '--codec', '--write'],
    })
    if (positionals.length > 0) throw new CliError({ code: 'CLI_USAGE', verb: 'bench-host' }, USAGE)
    const frames = Number(values.get('--frames') ?? 12)
    const codec = KNOWN.find((name) => name === (values.get('--codec') ?? 'av1'))
    if (!Number.isInteger(frames) || frames < 2 || frames > 1_000 || codec === undefined) {
      io.err('--frames is 2 to 1000, --codec av1, hevc, h264 or vp9')
      return 2
    }
    const json = switches.has('--json')
    const measure = async <P>(kind: string, engine: Engine<P, VideoResult>, params: P) => {
      try {
        return await measureSlots({
          ...{ engine, params, frames, clock: new SystemClock(), signal: io.signal },
          maxSlots: availableParallelism(),
          tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
          onMeasured: ({ slots, jobsPerMinute }) => {
            if (!json)
              io.out(`${kind}: ${slots} at once, ${jobsPerMinute.toFixed(1)} clips a minute`)
          },
        })
      } finally {
        await engine.close()
      }
    }
    const engines = configuredEngines(config, silentLog())
    const upscale = await measure('upscaling', await engines.upscale(), { scale: 2 })
    const compress = await measure('compression', await engines.compress(), {
      ...{ vmafThreshold: 85, codec, mode: 'CRF' },
    })
    const slots = { upscale: chooseSlots(upscale), compress: chooseSlots(compress) }
    if (json) io.out(JSON.stringify({ upscale, compress, slots }))
    else io.out(`--miner.upscale_slots ${slots.upscale} --miner.compress_slots ${slots.compress}`)
    const file = values.get('--write')
    if (file !== undefined) await setSlots(file, slots)
    return 0
  },
}

/** Whole or not at all: a miner may read the file at this moment. */
async function setSlots(path: string, slots: { upscale: number; compress: number }): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const edited = withNumbers(text, {
    'miner.upscale_slots': slots.upscale,
    'miner.compress_slots': slots.compress,
  })
  await writeFile(`${path}.new`, edited)
  await rename(`${path}.new`, path)
}
