import { parseArgs } from 'node:util'
import { DevComfy } from '../../devcomfy/index.js'
import { createLog } from '../../lib/log.js'
import { tempFolder } from '../../lib/temp-folder.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

const usage = `usage: subreel devcomfy [options]

Runs a stand-in for ComfyUI, to try video workflows without a graphics card: it speaks the same wire
and renders workflows of built-in nodes with ffmpeg. It loads no model: samplers draw waves of
colour that depend on the prompt and the seed. See docs/reference/comfyui.md.

  --port N          port to listen on (default 8188; 0 takes a free one)
  --host HOST       address to listen on (default 127.0.0.1; clients may run prompts and read files)
  --folder DIR      where inputs and outputs are kept (default: a temporary one)
  --model NAME      a model file that its loaders list; may be repeated
  --vram-mb N       memory of its graphics card (default 4096): what needs more fails as on a real one
  --node-ms N       time that each node takes
  --step-ms N       time of each sampler step and each decoded frame
  --load-ms N       time to load a model that is not in memory
  --quiet           log warnings only`

const OPTIONS = {
  port: { type: 'string', default: '8188' },
  host: { type: 'string', default: '127.0.0.1' },
  folder: { type: 'string' },
  model: { type: 'string', multiple: true, default: [] as string[] },
  'vram-mb': { type: 'string', default: '4096' },
  'node-ms': { type: 'string', default: '0' },
  'step-ms': { type: 'string', default: '0' },
  'load-ms': { type: 'string', default: '0' },
  quiet: { type: 'boolean', default: false },
} as const

function whole(text: string, option: string, max: number): number {
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value <= max) return value
  throw new CliError(
    { code: 'CLI_USAGE', verb: 'devcomfy' },
    `--${option} must be a whole number up to ${max}, got ${JSON.stringify(text)}\n\n${usage}`,
  )
}

export const command: Command = {
  summary: 'run a stand-in for ComfyUI that renders with ffmpeg',
  usage,

  async run(argv, io) {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false })
    const ms = (option: 'node-ms' | 'step-ms' | 'load-ms') =>
      whole(values[option], option, 3_600_000)
    await using temporary =
      values.folder === undefined ? await tempFolder('subreel-devcomfy-') : undefined
    const server = await DevComfy.start({
      host: values.host,
      port: whole(values.port, 'port', 65_535),
      folder: values.folder ?? temporary?.path ?? '',
      models: values.model,
      vramBytes: whole(values['vram-mb'], 'vram-mb', 1_000_000) * 1024 ** 2,
      speed: { nodeMs: ms('node-ms'), stepMs: ms('step-ms'), loadMs: ms('load-ms') },
      log: createLog('devcomfy', { level: values.quiet ? 'warn' : 'info' }),
    })
    io.out(`a stand-in for ComfyUI answers at http://${server.address}; Ctrl-C stops it`)
    await new Promise<void>((resolve) => {
      if (io.signal.aborted) resolve()
      io.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await server.close()
    return 0
  },
}
