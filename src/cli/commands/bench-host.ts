import { readFile, rename, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { withNumbers } from '../../config/index.js'
import { type Codec, createCompressor, createUpscaler } from '../../engines/index.js'
import { SystemClock } from '../../lib/clock.js'
import type { MediaTools } from '../../media/index.js'
import { chooseSlots, type Measured, measureSlots } from '../../miner/bench-host.js'
import type { Command } from '../command.js'

const USAGE = `usage: subreel bench-host [options]

Measures how many tasks this host should run at once, with the engines that the miner would use on a
short clip made on the spot, and prints the miner's settings or sets them in its configuration file.

  --frames N     frames of the clip (default 12)
  --codec NAME   av1 (default), hevc, h264 or vp9: what compression is measured with
  --write FILE   set them in this TOML file, which is made when it is not there
  --json         print the measurements as JSON`

const OPTIONS = {
  frames: { type: 'string', default: '12' },
  codec: { type: 'string', default: 'av1' },
  write: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

const KNOWN: readonly Codec[] = ['av1', 'hevc', 'h264', 'vp9']

export const command: Command = {
  summary: 'measure how many tasks this host should run at once',
  usage: USAGE,

  async run(argv, io) {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS })
    const frames = Number(values.frames)
    const codec = KNOWN.find((name) => name === values.codec)
    if (!Number.isInteger(frames) || frames < 2 || frames > 1_000 || codec === undefined) {
      io.err('--frames is 2 to 1000, --codec av1, hevc, h264 or vp9')
      return 2
    }
    const tools: MediaTools = {
      ffmpegPath: io.env['FFMPEG_PATH'],
      ffprobePath: io.env['FFPROBE_PATH'],
    }
    const common = {
      frames,
      tools,
      maxSlots: availableParallelism(),
      clock: new SystemClock(),
      signal: io.signal,
    }
    const tell = (kind: string) => (step: Measured) => {
      if (!values.json) {
        io.out(`${kind}: ${step.slots} at once, ${step.jobsPerMinute.toFixed(1)} clips a minute`)
      }
    }
    const upscaler = createUpscaler({ tools })
    const upscale = await measureSlots({
      ...common,
      engine: upscaler,
      params: { scale: 2 },
      onMeasured: tell('upscaling'),
    })
    await upscaler.close()
    const compressor = await createCompressor({ tools })
    const compress = await measureSlots({
      ...common,
      engine: compressor,
      params: { vmafThreshold: 85, codec, mode: 'CRF' },
      onMeasured: tell('compression'),
    })
    await compressor.close()
    const slots = { upscale: chooseSlots(upscale), compress: chooseSlots(compress) }
    if (values.json) io.out(JSON.stringify({ upscale, compress, slots }))
    else io.out(`--miner.upscale_slots ${slots.upscale} --miner.compress_slots ${slots.compress}`)
    if (values.write !== undefined) await setSlots(values.write, slots)
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
