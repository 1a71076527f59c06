import { join } from 'node:path'
import type { Chain, WeightLedger } from '../chain/index.js'
import type { Config } from '../config/index.js'
import { Corpus } from '../corpus/index.js'
import { createDendrite, type Dendrite } from '../dendrite/index.js'
import type { Daemon, DaemonContext } from '../lib/daemon.js'
import { must } from '../lib/errors.js'
import { GuardedFetcher } from '../lib/http/index.js'
import { withResolvers } from '../lib/resources.js'
import { toNetuid, WIRE_VERSION } from '../protocol/index.js'
import { connectProducer, OrganicJobs, whenReady } from '../queue/index.js'
import { createJudge } from '../scoring/judge/index.js'
import { createVmafScorer, type DeviceChoice } from '../scoring/metrics/index.js'
import { checkPlayable } from '../scoring/playable.js'
import { TASK_KINDS } from '../scoring/types.js'
import { BuiltinStore, openStore } from '../storage/index.js'
import type { Signer } from '../wallet/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '../workflows/index.js'
import { GuardedResults, RoundJudge, StorePayloads } from './adapters.js'
import { mirrorClips } from './clip-mirror.js'
import { askReport, createReportAxon } from './consensus/serve.js'
import { ConsensusView } from './consensus/view.js'
import { ConsensusDuty, type ConsensusModules } from './duties/consensus.js'
import { EmissionDuty } from './duties/emissions.js'
import { GatewayFeed } from './duties/gateway-feed.js'
import { LeaseDuty } from './duties/lease.js'
import { LengthDuty } from './duties/lengths.js'
import { OrganicDuty } from './duties/organic.js'
import { RetentionDuty } from './duties/retention.js'
import { SyncDuty } from './duties/sync.js'
import { SyntheticDuty } from './duties/synthetic.js'
import { WandbDuty } from './duties/wandb.js'
import { WarrantDuty } from './duties/warrants.js'
import { WeightDuty } from './duties/weights.js'
import { type Duty, runDuty } from './duty.js'
import { generationWorkflows, openGeneration, openGenerationClient } from './generation/open.js'
import { LedgerState } from './ledger-state.js'
import { createMetrics } from './metrics.js'
import { DendriteMinerClient } from './miner-client.js'
import { Network } from './network.js'
import { OrganicSampler } from './organic/sample.js'
import {
  invalidSetting,
  ledgerRules,
  minerTimeoutMs,
  planSettings,
  roundKinds,
  weightPolicy,
} from './policy.js'
import type { ChallengeSource, VideoCheck } from './ports.js'
import { RoundRunner } from './round.js'
import { EmissionStore } from './state/emissions.js'
import { holderName } from './state/holder.js'
import { Lease } from './state/lease.js'
import { MinerStore } from './state/miners.js'
import { openState, stateLocation } from './state/open.js'
import { ReportStore } from './state/reports.js'
import { RoundStore } from './state/rounds.js'
import { TaskStore } from './state/tasks.js'
import { DatabaseWeightLedger } from './state/weights.js'
import { WandbRun } from './wandb/run.js'

/** What a validator is made of beyond its settings. */
export interface ValidatorParts {
  readonly chain: (ledger: WeightLedger) => Chain
  readonly signer: Signer
}

const WARRANT_TIMEOUT_MS = 10_000
const MEGABYTE = 1_000_000
const REDIS_START_MS = 10_000

/**
 * Composes a validator from its settings and runs its duties until it must stop. What a crash left
 * is put right first: open rounds are void, organic tasks go back to pending.
 */
export async function startValidator(
  config: Config,
  context: DaemonContext,
  parts: ValidatorParts,
): Promise<Daemon> {
  const { clock, rng, log, registry, resources, stopping, aborting } = context
  const netuid = toNetuid(must(config.netuid, 'netuid'))
  const { signer } = parts
  const metrics = createMetrics(registry)
  const db = await openState(stateLocation(config))
  resources.defer('database', () => db.destroy())
  const lease = new Lease(db, clock, `${netuid}:${signer.address}`, holderName())
  await lease.takeAtStart(stopping, (why) =>
    log.warn(
      { event: 'lease.waiting', reason: why },
      'waiting until the lease of a validator ends',
    ),
  )
  resources.defer('lease', () => lease.release())
  const leaseLost = withResolvers<never>()
  // Heard only once this validator runs.
  leaseLost.promise.catch(() => {})

  const rounds = new RoundStore(db, clock)
  const miners = new MinerStore(db, clock, netuid)
  const tasks = new TaskStore(db, clock)
  const voided = await rounds.voidOpen(netuid)
  const recovered = await tasks.recover()
  if (voided.length + recovered > 0) {
    log.warn({ event: 'state.recovered', voided, recovered }, 'put right what a crash had left')
  }
  const rules = ledgerRules(config)
  const ledger = new LedgerState(rules, config['weights.min_tasks'])
  await ledger.load(rounds, netuid)

  const weightLedger = new DatabaseWeightLedger(db)
  const chain = resources.use('chain', parts.chain(weightLedger))
  const emissions = new EmissionStore(db, clock, netuid)
  const network = new Network(chain, netuid, signer.address, {
    oneMinerPer: config['validator.one_miner_per'],
  })
  const tools = { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] }
  const workflows = await WorkflowStore.open(SHIPPED_WORKFLOWS, config['workflows.folder'])
  const generated = generationWorkflows(config, workflows)
  const needsCorpus = roundKinds(config).length > 0 || generated.some((w) => w.takes('image_url'))
  const corpus = needsCorpus ? await openCorpus(config, context, tools) : Corpus.empty()
  const store = await openPayloadStore(config, context)
  const payloads = new StorePayloads(store)
  const dendrite = createDendrite({
    wallet: signer,
    clock,
    rng,
    allowPrivate: config['allow-private-urls'],
    registry,
  })
  resources.use('dendrite', dendrite)
  const generationClient = openGenerationClient(config, { dendrite, store, clock })
  const client = new DendriteMinerClient(dendrite, clock, generationClient)
  const fetcher = new GuardedResults(
    new GuardedFetcher({
      allowPrivate: config['allow-private-urls'],
      allowHttp: config['allow-http-urls'],
    }),
    config['fetch.max_mb'] * MEGABYTE,
  )
  const vmaf = resources.use(
    'VMAF scorer',
    await createVmafScorer({ ...tools, device: config.device as DeviceChoice }),
  )
  const judge = new RoundJudge(createJudge({ vmaf, media: tools }))
  const tempDir = config['neuron.temp_dir']
  const check: VideoCheck = (path, signal) => checkPlayable(path, tools, signal)
  const roundsOf = (challenges: ChallengeSource) =>
    new RoundRunner(
      {
        netuid,
        concurrency: 256,
        timeoutMs: (kind, pixels) => minerTimeoutMs(config, kind, pixels),
        ...(tempDir === undefined ? {} : { tempDir }),
      },
      {
        corpus: challenges,
        ...{ rounds, check, payloads, client, fetcher, judge, clock, log, metrics },
      },
    )
  const consensus = new ConsensusView()
  const organic = new OrganicDuty(
    {
      everyMs: 1_000,
      concurrency: config['organic.max_running'],
      maxMiners: config['organic.max_miners'],
      hedgeMs: config['organic.hedge_seconds'] * 1_000,
      exploration: config['organic.exploration'],
      sample: config['organic.sample'],
      minerTimeoutMs: (kind, pixels) => minerTimeoutMs(config, kind, pixels),
      ...(tempDir === undefined ? {} : { tempDir }),
    },
    {
      network,
      miners,
      tasks,
      client,
      fetcher,
      check,
      payloads,
      sampler: new OrganicSampler(
        { seconds: config['validator.clip_seconds'], settings: planSettings(config) },
        {
          ...{ network, rounds, ledger, judge, rng, roundsOf },
          clipOf: (path) => Corpus.of(path, tools),
        },
      ),
      metrics,
      workflows,
      ledger,
      consensus,
      clock,
      rng,
      log,
    },
  )
  const sync = new SyncDuty(
    { everyMs: config['validator.sync_seconds'] * 1_000 },
    { network, miners, log },
  )
  const warrants = new WarrantDuty(
    { everyMs: config['validator.warrant_seconds'] * 1_000, timeoutMs: WARRANT_TIMEOUT_MS },
    { network, miners, client, metrics },
  )
  const lengths = new LengthDuty(
    { everyMs: config['validator.warrant_seconds'] * 1_000, timeoutMs: WARRANT_TIMEOUT_MS },
    { network, miners, client },
  )
  const duties: Duty[] = [
    new LeaseDuty(lease, leaseLost.reject),
    sync,
    warrants,
    lengths,
    new SyntheticDuty(
      {
        everyMs: 1_000,
        deadlineMs: config['validator.round_deadline_minutes'] * 60_000,
        kinds: roundKinds(config),
        everyBlocks: config['validator.round_blocks'],
        delayMs: config['validator.round_delay_seconds'] * 1_000,
        seconds: config['validator.clip_seconds'],
        settings: planSettings(config),
      },
      { network, miners, corpus, runner: roundsOf(corpus), ledger, clock, rng },
    ),
    ...(await openGeneration(config, context, {
      workflows,
      generated,
      corpus,
      network,
      miners,
      rounds,
      payloads,
      client: generationClient,
      ledger,
      metrics,
    })),
    organic,
    ...(await openGatewayFeed(config, context, tasks)),
    ...(await openConsensus(config, context, {
      ...{ network, miners, ledger, signer, dendrite, metrics, view: consensus },
      reports: new ReportStore(db, netuid),
      load: (hotkey) => organic.loadOf(hotkey),
    })),
    ...(await openWandb(config, context, rounds)),
    new EmissionDuty(network, emissions),
    new RetentionDuty(config['validator.retention_days'], { rounds, tasks, payloads, clock }),
    ...(config['neuron.disable_set_weights']
      ? []
      : [
          new WeightDuty(
            {
              everyMs: 1_000,
              epochLength: config['neuron.epoch_length'],
              rules,
              ...weightPolicy(config),
            },
            { network, signer, lease, ledger, weightLedger, emissions, metrics, log },
          ),
        ]),
  ]
  context.admin.addCheck('chain', async (signal) => void (await chain.head({ signal })))
  context.admin.addCheck('database', async () => void (await tasks.pending(1)))

  // The first rounds need the subnet and its warrants: read both before the duties start.
  await sync.run(stopping)
  await warrants.run(stopping)
  const heads = chain.watchHeads((head) => network.sawHead(head))
  resources.use('head subscription', heads)
  const running = duties.map((duty) =>
    runDuty(duty, { clock, log, metrics }, AbortSignal.any([stopping, aborting])),
  )
  return {
    drained: async () => {
      await Promise.all(running)
      await organic.idle()
    },
    failed: leaseLost.promise,
  }
}

/** Charts for Weights & Biases, where they are asked for. */
async function openWandb(
  config: Config,
  { clock, rng, log, resources }: DaemonContext,
  rounds: RoundStore,
) {
  const mode = config['wandb.mode']
  if (mode === 'disabled') return []
  if (mode === 'online')
    throw invalidSetting('wandb.mode: use offline, and upload the runs with wandb sync')
  const netuid = must(config.netuid, 'netuid')
  const run = await WandbRun.open(
    {
      ...{ dir: config['neuron.data_dir'], project: config['wandb.project'] },
      ...{ name: `validator-${netuid}`, config: { netuid } },
    },
    clock,
    rng,
  )
  resources.use('wandb', run)
  log.info({ event: 'wandb.opened', folder: run.folder }, 'charts go to a Weights & Biases run')
  return [new WandbDuty(rounds, run, { netuid, fromMs: clock.now() })]
}

const BUCKET = /^s3:\/\/([^/]+)\/?(.*)$/

/** Clips of a folder, or those below a prefix of a bucket, kept in the data folder. */
async function openCorpus(
  config: Config,
  { clock, rng, log, stopping }: DaemonContext,
  tools: Parameters<typeof Corpus.open>[1],
): Promise<Corpus> {
  const where = config['validator.corpus']
  const [, bucket, prefix = ''] = BUCKET.exec(where) ?? []
  if (bucket === undefined) return Corpus.open(where, tools)
  const type = config['bucket.type'] === 'builtin' ? 's3' : config['bucket.type']
  const settings = { ...config, 'bucket.type': type, 'bucket.name': bucket }
  const dir = join(config['neuron.data_dir'], 'corpus')
  const store = await openStore(settings, { clock, rng, log })
  try {
    await mirrorClips(store, { prefix, dir, signal: stopping }, log)
  } finally {
    await store.close()
  }
  return Corpus.open(dir, tools)
}

/** The gateway's queue, when Redis is set for it: a validator without users needs none. */
async function openGatewayFeed(
  config: Config,
  { clock, rng, log, resources }: DaemonContext,
  tasks: TaskStore,
) {
  if (!config['organic.gateway']) return []
  const redis = connectProducer(config['redis.url'].reveal(), log)
  resources.defer('redis', () => redis.disconnect())
  const jobs = new OrganicJobs({ redis, clock, rng })
  await whenReady(redis, REDIS_START_MS)
  await jobs.recover()
  return [new GatewayFeed(jobs, tasks)]
}

/** The exchange of measurements, where it is asked for: an axon of our own and a duty. */
async function openConsensus(
  config: Config,
  { clock, log, registry, resources, stopping }: DaemonContext,
  parts: Omit<ConsensusModules, 'ask' | 'clock' | 'log'> & { readonly dendrite: Dendrite },
) {
  if (!config['consensus.enabled']) return []
  const { dendrite, ...modules } = parts
  const { network, signer } = modules
  const ip = config['axon.external_ip']
  if (ip === undefined)
    throw invalidSetting('consensus.enabled: set axon.external_ip, where other validators reach us')
  const duty = new ConsensusDuty(
    {
      everyMs: config['consensus.every_seconds'] * 1_000,
      kinds: TASK_KINDS,
      silentMs: 2 * config['validator.warrant_seconds'] * 1_000,
    },
    { ...modules, clock, log, ask: askReport(dendrite) },
  )
  const axon = createReportAxon(network, () => duty.latest, { signer, clock, log, registry })
  resources.use('axon', axon)
  const { port } = await axon.listen({ host: config['axon.ip'], port: config['axon.port'] })
  const served = await network.chain.serveAxon(
    signer,
    {
      netuid: network.netuid,
      ...{ ip, port: config['axon.external_port'] ?? port, version: WIRE_VERSION },
    },
    { signal: stopping },
  )
  if (served.outcome === 'refused')
    log.error(
      { event: 'axon.unannounced', error: served.error },
      'the chain refused our axon: other validators cannot ask us',
    )
  return [duty]
}

/** The store of challenges; the built-in one is served by this process. */
async function openPayloadStore(config: Config, { clock, rng, log, resources }: DaemonContext) {
  const store = await openStore(config, { clock, rng, log })
  resources.use('store', store)
  if (store instanceof BuiltinStore) {
    const origin = config['bucket.public_url']
    await store.listen(
      config['validator.store_host'],
      config['validator.store_port'],
      origin === undefined ? undefined : new URL(origin).origin,
    )
  }
  return store
}
