import type { Config } from '../../config/index.js'
import type { Corpus } from '../../corpus/index.js'
import type { DaemonContext } from '../../lib/daemon.js'
import { createGenerationVerifier } from '../../scoring/generation/index.js'
import type { DeviceChoice } from '../../scoring/metrics/index.js'
import { findPlayable } from '../../scoring/playable.js'
import type { WorkflowStore, WorkflowTemplate } from '../../workflows/index.js'
import { GenerationDuty } from '../duties/generation.js'
import type { Duty } from '../duty.js'
import type { LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import { playsGeneration } from '../policy.js'
import type { PayloadStore } from '../ports.js'
import type { MinerStore } from '../state/miners.js'
import type { RoundStore } from '../state/rounds.js'
import { GenerationClient, type GenerationClientModules } from './client.js'
import { Penalties } from './penalties.js'
import { GenerationRound } from './round.js'

const MEGABYTE = 1_000_000
const DEFAULT_SERVERS = ['127.0.0.1:8188']

/** Workflows that rounds draw from; none where no rounds of generation are played. */
export const generationWorkflows = (config: Config, store: WorkflowStore): WorkflowTemplate[] =>
  playsGeneration(config) ? config['generation.workflows'].map((name) => store.get(name)) : []

export function openGenerationClient(
  config: Config,
  modules: Omit<GenerationClientModules, 'findVideo'>,
): GenerationClient {
  const maxBytes = config['fetch.max_mb'] * MEGABYTE
  const pollMs = config['generation.poll_seconds'] * 1_000
  const tempDir = config['neuron.temp_dir']
  const tools = { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] }
  return new GenerationClient(
    { maxBytes, pollMs, ...(tempDir === undefined ? {} : { tempDir }) },
    { ...modules, findVideo: (path, dir, signal) => findPlayable(path, dir, tools, signal) },
  )
}

export interface OpenGenerationModules {
  readonly workflows: WorkflowStore
  readonly generated: readonly WorkflowTemplate[]
  readonly corpus: Corpus
  readonly network: Network
  readonly miners: MinerStore
  readonly rounds: RoundStore
  readonly payloads: PayloadStore
  readonly client: GenerationClient
  readonly ledger: LedgerState
  readonly metrics: ValidatorMetrics
}

/** The duty that plays rounds of generation, and the models and servers that judge them. */
export async function openGeneration(
  config: Config,
  { clock, rng, log, registry, resources }: DaemonContext,
  modules: OpenGenerationModules,
): Promise<Duty[]> {
  const { generated, corpus, network, miners, rounds, ledger } = modules
  if (generated.length === 0) return []
  const { verifier, close } = await createGenerationVerifier({
    servers: config['comfyui.servers'] ?? DEFAULT_SERVERS,
    tokens: config['comfyui.tokens'] ?? [],
    models: config['comfyui.models'],
    nodesFile: config['comfyui.nodes'],
    pollMs: config['comfyui.poll_seconds'] * 1000,
    runTimeoutMs: config['comfyui.timeout_seconds'] * 1000,
    registry,
    device: config.device as DeviceChoice,
    modelsFolder: config['models.folder'],
    calibrationFile: config['generation.calibration'],
    urls: { privateAddresses: config['allow-private-urls'], http: config['allow-http-urls'] },
    tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
    log,
  })
  resources.defer('generation verifier', close)
  const penalties = new Penalties()
  for (const row of (await rounds.history(network.netuid, HISTORY)).reverse())
    penalties.add(row.block, [row])
  const tempDir = config['neuron.temp_dir']
  const round = new GenerationRound(
    {
      netuid: network.netuid,
      concurrency: 256,
      timeoutMs: config['generation.timeout_seconds'] * 1_000,
      keepResults: config['generation.keep_results'],
      ...(tempDir === undefined ? {} : { tempDir }),
    },
    {
      ...modules,
      judge: verifier,
      stills: corpus,
      clock,
      log,
    },
  )
  const options = {
    everyMs: 1_000,
    deadlineMs: config['validator.round_deadline_minutes'] * 60_000,
    everyBlocks: config['generation.round_blocks'] ?? config['validator.round_blocks'],
    delayMs: config['validator.round_delay_seconds'] * 1_000,
  }
  const { clips } = corpus
  return [
    new GenerationDuty(options, {
      ...{ network, miners, workflows: generated, clips, round, penalties, ledger, clock, rng },
    }),
  ]
}

/** Rounds back in which a penalty may have its cause. */
const HISTORY = 100
