// The parts of the demo and how they are started: each is the program that ships, but for the
// cheat, whose engines alone are its own.
import { mkdir, readdir } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createChain } from '../../dist/chain/index.js'
import { DevComfy } from '../../dist/devcomfy/index.js'
import { startDevnet } from '../../dist/devnet/index.js'
import { toNetuid } from '../../dist/protocol/index.js'
import { signerFromUri } from '../../dist/wallet/index.js'
import { slowFfmpeg } from './media.mjs'
import { Daemon, freePort, startRedis, until } from './processes.mjs'

const NETUID = 85
const BLOCK_MS = 1000
const ROUND_BLOCKS = 10
const TIMEOUT_SECONDS = 90
const SLOW_SECONDS = 2
const GENERATION_BLOCKS = 60
export const WORKFLOW = 'no-checkpoint'
export const API_KEY = 'demo-key-0123456789'

const HYPERPARAMETERS = {
  tempo: 10,
  minAllowedWeights: 1,
  weightsRateLimit: 5,
  commitReveal: false,
  immunityPeriod: 1000,
  servingRateLimit: 1,
  burn: 1_000_000n,
}

export const MINERS = [
  {
    name: 'honest',
    uri: '//Honest',
    what: 'upscales with SPAN, compresses to the threshold, runs workflows',
  },
  {
    name: 'mortal',
    uri: '//Mortal',
    what: 'the same; its worker is killed in the middle of a task',
  },
  { name: 'slow', uri: '//Slow', what: 'the same on a slow machine, with quick presets' },
  {
    name: 'cheat',
    uri: '//Cheat',
    what: 'sells sharpened bicubic as upscaling, sharpens starved encodes, generates nothing',
  },
]

/** The user's bucket, where one is set, and tokens of ComfyUI servers: all processes use them then. */
const inherited = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => name.startsWith('BUCKET_') || name === 'COMFYUI_TOKENS',
    ),
  )

// The chain refuses 127.0.0.1 as an axon's address; on Linux all of 127/8 is this machine.
function localAddress() {
  if (process.platform === 'linux') return '127.0.0.2'
  const found = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)
  if (found === undefined) throw new Error('the demo needs an IPv4 address besides 127.0.0.1')
  return found.address
}

const addressOf = (uri, chainEndpoint) => signerFromUri(uri, { chainEndpoint }).address

export class System {
  #cleanup = []
  #closed = false

  constructor({ dir, corpus, say }) {
    this.dir = dir
    this.corpus = corpus
    this.say = say
    this.ip = localAddress()
    this.logDir = join(dir, 'logs')
    this.netuid = toNetuid(NETUID)
  }

  /** Redis and a chain with the subnet, on which all miners are registered. */
  async openGround() {
    await mkdir(this.logDir, { recursive: true })
    this.redis = await startRedis(this.dir)
    this.#cleanup.push(() => this.redis.close())
    this.say(`started Redis at ${this.redis.url}`)
    const validator = { hotkey: '//Validator', coldkey: '//Alice', stake: 50_000 }
    this.devnet = await startDevnet({
      blocks: { everyMs: BLOCK_MS },
      subnets: [
        {
          netuid: NETUID,
          hyperparameters: HYPERPARAMETERS,
          neurons: [{ ...validator, validatorPermit: true }],
        },
      ],
    })
    this.#cleanup.push(() => this.devnet.close())
    this.say(`started a local chain at ${this.devnet.url} with subnet ${NETUID}`)
    this.chain = createChain({ endpoints: [this.devnet.url] })
    this.#cleanup.push(() => this.chain.close())
    const coldkey = signerFromUri('//Alice', { chainEndpoint: this.devnet.url })
    for (const miner of MINERS) {
      miner.hotkey = addressOf(miner.uri, this.devnet.url)
      const { netuid } = this
      const registered = await this.chain.register(coldkey, { netuid, hotkey: miner.hotkey })
      if (registered.outcome !== 'included')
        throw new Error(`registering ${miner.name}: ${JSON.stringify(registered)}`)
    }
    const { neurons } = await this.chain.metagraph(this.netuid)
    const uidOf = (hotkey) => neurons.find((neuron) => neuron.hotkey === hotkey).uid
    for (const miner of MINERS) miner.uid = uidOf(miner.hotkey)
    this.validatorUid = uidOf(addressOf('//Validator', this.devnet.url))
    this.say('registered four miners on the subnet, paid by //Alice')
  }

  /** The user's ComfyUI servers, or a stand-in that renders with ffmpeg. */
  async openComfy() {
    this.comfy = process.env.COMFYUI_SERVERS
    if (this.comfy !== undefined) return this.say(`using ComfyUI at ${this.comfy}`)
    const comfy = await DevComfy.start({ folder: join(this.dir, 'comfy') })
    this.#cleanup.push(() => comfy.close())
    this.comfy = comfy.address
    this.say(`started a stand-in for ComfyUI at ${this.comfy}`)
  }

  async openMiners() {
    const slow = await slowFfmpeg(this.dir, SLOW_SECONDS)
    const [honest, mortal, lazy, cheat] = MINERS
    const generates = ['--comfyui.servers', this.comfy]
    await Promise.all([
      this.startMiner(honest, 'all', generates),
      this.startMiner(lazy, 'all', [
        ...['--ffmpeg.path', slow, '--compress.effort', 'quick'],
        ...generates,
      ]),
      this.startMiner(cheat, 'all', generates),
      this.startMiner(mortal, 'worker').then((worker) => {
        this.worker = worker
        return this.startMiner(mortal, 'axon')
      }),
    ])
  }

  async startMiner(miner, role, extra = []) {
    miner.port ??= await freePort(this.ip)
    const own = join(this.dir, miner.name)
    await mkdir(join(own, 'temp'), { recursive: true })
    return this.#start(role === 'all' ? miner.name : `${miner.name}-${role}`, [
      miner.name === 'cheat' ? 'scripts/demo/cheat-miner.mjs' : 'dist/miner.js',
      ...this.#neuron(miner.uri, join(own, 'data')),
      ...['--role', role, '--axon.port', String(miner.port)],
      ...['--axon.ip', this.ip, '--axon.external_ip', this.ip],
      ...['--neuron.temp_dir', join(own, 'temp'), '--queue.prefix', `{${miner.name}}`],
      ...['--miner.min_free_mb', '100', '--device', 'cpu'],
      ...extra,
    ])
  }

  /** Kills the mortal miner's worker as soon as there is a video in its working folder, and starts it again. */
  async killWorkerInTheMiddle() {
    const temp = join(this.dir, 'mortal', 'temp')
    const busy = async () =>
      (await readdir(temp, { recursive: true })).some((name) => /\.(mp4|bin|mkv)$/.test(name))
    await until(busy, 'a task of the mortal miner', 300)
    this.worker.kill()
    this.say("killed the mortal miner's worker in the middle of a task (SIGKILL)")
    this.worker = await this.startMiner(MINERS[1], 'worker')
    this.say("started the mortal miner's worker again")
  }

  async openGateway() {
    const port = await freePort()
    await this.#start(
      'gateway',
      [
        'dist/services/gateway/main.js',
        ...['--redis.url', this.redis.url, '--gateway.port', String(port)],
        ...['--neuron.data_dir', join(this.dir, 'gateway'), '--allow-private-urls'],
      ],
      { GATEWAY_API_KEYS: `demo:${API_KEY}` },
    )
    this.gateway = `http://127.0.0.1:${port}`
  }

  /** `watch` gets the validator before it starts, to hear of all it does. */
  async openValidator(watch) {
    const data = join(this.dir, 'validator')
    this.database = join(data, 'validator.db')
    await this.#start(
      'validator',
      [
        'dist/validator.js',
        ...this.#neuron('//Validator', data),
        ...['--validator.corpus', this.corpus, '--validator.clip_seconds', '1'],
        ...['--validator.round_blocks', String(ROUND_BLOCKS)],
        ...['--validator.round_delay_seconds', '0', '--validator.as_users', '0'],
        ...['--validator.sync_seconds', '2', '--validator.warrant_seconds', '20'],
        ...['--validator.thresholds', '85,89', '--validator.codecs', 'hevc,h264'],
        ...['--validator.task_types', 'SD2HD', '--neuron.timeout', String(TIMEOUT_SECONDS)],
        ...['--organic.gateway', '--device', 'cpu'],
        ...['--validator.kinds', 'compression,upscaling,generation'],
        ...['--comfyui.servers', this.comfy, '--generation.workflows', WORKFLOW],
        ...['--generation.round_blocks', String(GENERATION_BLOCKS)],
        ...['--generation.poll_seconds', '0.5', '--generation.timeout_seconds', '120'],
        '--generation.keep_results',
      ],
      {},
      watch,
    )
  }

  #neuron(uri, data) {
    return [
      ...['--netuid', String(NETUID), '--subtensor.network', this.devnet.url],
      ...['--wallet.hotkey', uri, '--redis.url', this.redis.url],
      ...['--neuron.data_dir', data, '--allow-private-urls'],
    ]
  }

  async #start(name, args, env = {}, watch = () => {}) {
    if (this.#closed) throw new Error('the demo is ending')
    const daemon = new Daemon(name, args, { logDir: this.logDir, env: { ...inherited(), ...env } })
    watch(daemon)
    this.#cleanup.push(() => daemon.stop())
    return daemon.start()
  }

  async close() {
    this.#closed = true
    for (const close of this.#cleanup.splice(0).reverse())
      await Promise.resolve(close()).catch(() => {})
  }
}
