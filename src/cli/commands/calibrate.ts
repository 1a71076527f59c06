import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { loadConfig } from '../../config/index.js'
import { createLog } from '../../lib/log.js'
import {
  CALIBRATION,
  measureCalibration,
  readCalibration,
  thresholdFor,
} from '../../scoring/generation/index.js'
import type { DeviceChoice } from '../../scoring/metrics/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '../../workflows/index.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

export const command: Command = {
  summary: 'measure how alike honest generated videos are on different graphics cards',
  usage: `usage: subreel calibrate FILE [RUNS] [settings]

Runs each of generation.workflows RUNS times (default ${CALIBRATION.minSamples}), each time with another seed, on every server
of comfyui.servers, and adds how alike the results are to the table in FILE: a row for each two
servers, by their cards. The validator reads it as generation.calibration. Needs servers of your own
that nobody else uses, two at least; the models and the device are those of the validator.`,

  async run(argv, io) {
    const { config, positionals } = loadConfig({ argv, env: io.env })
    const [file, text = String(CALIBRATION.minSamples), ...extra] = positionals
    const runs = Number(text)
    const servers = config['comfyui.servers'] ?? []
    if (file === undefined || extra.length > 0 || !(Number.isInteger(runs) && runs >= 1))
      throw new CliError({ code: 'CLI_USAGE', verb: 'calibrate' }, command.usage)
    if (servers.length < 2)
      throw usage('two servers at least are compared: name them in comfyui.servers')
    const known = existsSync(file) ? await readCalibration(file) : []
    const store = await WorkflowStore.open(SHIPPED_WORKFLOWS, config['workflows.folder'])
    const templates = config['generation.workflows'].map((name) => store.get(name))
    const unfit = templates.find((one) => one.takes('image_url') || !one.takes('seed'))
    if (unfit !== undefined)
      throw usage(
        `${unfit.name} needs an image or takes no seed; name others in generation.workflows`,
      )
    const measured = await measureCalibration(
      templates.flatMap((one) => Array.from({ length: runs }, (_, seed) => one.fill({ seed }))),
      {
        servers,
        tokens: config['comfyui.tokens'] ?? [],
        models: config['comfyui.models'],
        nodesFile: config['comfyui.nodes'],
        pollMs: config['comfyui.poll_seconds'] * 1000,
        runTimeoutMs: config['comfyui.timeout_seconds'] * 1000,
        device: config.device as DeviceChoice,
        modelsFolder: config['models.folder'],
        urls: { privateAddresses: false, http: false },
        tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
        log: createLog('calibrate', { level: 'warn' }),
      },
      io.signal,
    )
    const table = [...known, ...measured]
    await writeFile(file, `${JSON.stringify(table, null, 2)}\n`)
    for (const { embedder, gpus, cosines } of measured) {
      const [validatorGpu, minerGpu] = gpus
      const { minCosine, samples } = thresholdFor(table, { embedder, validatorGpu, minerGpu })
      io.out(
        `${gpus.join(' and ')}: lowest ${Math.min(...cosines).toFixed(4)} of ${cosines.length}; threshold ${minCosine.toFixed(4)} from ${samples} samples`,
      )
    }
    return 0
  },
}

const usage = (problem: string) =>
  new CliError({ code: 'CLI_USAGE', verb: 'calibrate' }, `${problem}\n\n${command.usage}`)
