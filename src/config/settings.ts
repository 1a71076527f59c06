import { homedir } from 'node:os'
import { join } from 'node:path'
import type { z } from 'zod'
import {
  bool,
  bucketType,
  device,
  int,
  intOrAuto,
  ip,
  list,
  network,
  networks,
  number,
  oneOf,
  places,
  port,
  secret,
  secretList,
  secretUrl,
  text,
  url,
} from './parsers.js'

/** Processes that read settings. */
export const PROCESSES = [
  'miner',
  'validator',
  'upscaler',
  'compressor',
  'deleter',
  'scorer',
  'gateway',
] as const
export type ProcessName = (typeof PROCESSES)[number]

export interface Setting<S extends z.ZodType = z.ZodType> {
  /** Environment variable. Beats the file, loses to the flag. */
  readonly env?: string
  /** Names under which other miners of the subnets know it; read as well. */
  readonly envAliases?: readonly string[]
  readonly schema: S
  /** As a user would write it; parsed like any other value. Absent: the setting has no value. */
  readonly default?: string
  /** Processes that use it; absent: all. */
  readonly for?: readonly ProcessName[]
  /** Processes that cannot start without it. */
  readonly requiredFor?: readonly ProcessName[]
  /** The value must never be shown. */
  readonly secret?: true
  /** One sentence for --help and the reference. */
  readonly help: string
}

function setting<const T extends Setting>(of: T): T {
  return of
}

const NEURONS = ['miner', 'validator'] as const
const WORKERS = ['miner', 'upscaler', 'compressor'] as const
const STORES = ['miner', 'validator', 'upscaler', 'compressor', 'deleter', 'gateway'] as const

/**
 * Every setting of every process, once. The key is the flag (`--axon.port`) and the path in the
 * TOML file (`[axon] port = 8091`). `-` and `_` are the same in a flag.
 */
export const SETTINGS = {
  netuid: setting({
    env: 'BT_NETUID',
    schema: int({ max: 65_535 }),
    for: NEURONS,
    requiredFor: NEURONS,
    help: 'Subnet to serve (85 Vidaio, 99 Neza, 49 Violet).',
  }),
  'wallet.name': setting({
    env: 'BT_WALLET_NAME',
    schema: text(),
    default: 'default',
    for: NEURONS,
    help: 'Name of the wallet folder.',
  }),
  'wallet.hotkey': setting({
    env: 'BT_WALLET_HOTKEY',
    schema: text(),
    default: 'default',
    for: NEURONS,
    help: 'Name of the hotkey in the wallet, or a //Name development key on a local network.',
  }),
  'wallet.path': setting({
    env: 'BT_WALLET_PATH',
    schema: text(),
    default: join(homedir(), '.bittensor', 'wallets'),
    for: NEURONS,
    help: 'Folder of the wallets.',
  }),
  'subtensor.network': setting({
    env: 'BT_NETWORK',
    schema: network(),
    default: 'finney',
    for: NEURONS,
    help: 'finney, test, local, or a ws:// or wss:// endpoint.',
  }),
  'subtensor.chain_endpoint': setting({
    env: 'BT_CHAIN_ENDPOINT',
    schema: networks(),
    for: NEURONS,
    help: 'Endpoints in order of preference; the next is used when one fails. Overrides the network.',
  }),
  'axon.ip': setting({
    env: 'BT_AXON_IP',
    schema: text(),
    default: '0.0.0.0',
    for: NEURONS,
    help: 'Address the axon listens on.',
  }),
  'axon.port': setting({
    env: 'BT_AXON_PORT',
    schema: port(),
    default: '8091',
    for: NEURONS,
    help: 'Port the axon listens on.',
  }),
  'axon.external_ip': setting({
    env: 'BT_AXON_EXTERNAL_IP',
    schema: ip(),
    for: NEURONS,
    help: 'Public address announced on chain; discovered when absent.',
  }),
  'axon.external_port': setting({
    env: 'BT_AXON_EXTERNAL_PORT',
    schema: port(),
    for: NEURONS,
    help: 'Public port announced on chain; axon.port when absent.',
  }),
  'axon.max_workers': setting({
    env: 'BT_AXON_MAX_WORKERS',
    schema: int({ min: 1, max: 8192 }),
    default: '512',
    for: ['miner'],
    help: 'Handlers that run at once; more wait in order of priority. Most only wait for the job queue, which has limits of its own.',
  }),
  'axon.protocols': setting({
    schema: oneOf(['both', 'legacy', 'btauth']),
    default: 'both',
    for: ['miner'],
    help: 'Wire protocols that are served: legacy of the Python SDKs to 10, btauth/1 of 11.',
  }),
  'axon.verify_threads': setting({
    schema: intOrAuto({ min: 0, max: 64 }),
    default: 'auto',
    for: ['miner'],
    help: 'Threads that check signatures; 0 checks them in the main thread. auto: one per core but one, at most 4; none on two cores.',
  }),
  'axon.btauth_max_age_seconds': setting({
    schema: int({ min: 1, max: 300 }),
    default: '10',
    for: ['miner'],
    help: 'Greatest age of a btauth/1 request; some validators need 30 to 50.',
  }),
  'axon.btauth_require_receiver': setting({
    schema: bool(),
    default: 'true',
    for: ['miner'],
    help: 'Refuse btauth/1 requests that are not bound to this hotkey; some validators bind to nobody.',
  }),
  'blacklist.force_validator_permit': setting({
    schema: bool(),
    default: 'true',
    for: ['miner'],
    help: 'Refuse callers without a validator permit.',
  }),
  'blacklist.allow_non_registered': setting({
    schema: bool(),
    default: 'false',
    for: ['miner'],
    help: 'Serve callers that are not registered on the subnet.',
  }),
  'blacklist.min_stake': setting({
    schema: number({ min: 0 }),
    default: '0',
    for: ['miner'],
    help: 'Refuse callers whose stake in TAO is lower.',
  }),
  'neuron.timeout': setting({
    schema: number({ min: 1, max: 3600 }),
    for: ['validator'],
    help: 'Seconds a miner has for work on a video; when absent 40 for upscaling, 120 for compression.',
  }),
  'neuron.epoch_length': setting({
    schema: int({ min: 1, max: 100_000 }),
    for: ['validator'],
    help: 'Blocks between two weight settings; the subnet tempo when absent.',
  }),
  'neuron.disable_set_weights': setting({
    schema: bool(),
    default: 'false',
    for: ['validator'],
    help: 'Score without setting weights on chain.',
  }),
  'neuron.weights_version': setting({
    env: 'SUBREEL_WEIGHTS_VERSION',
    schema: int({ min: 0 }),
    default: '10005000',
    for: ['validator'],
    help: 'Version key sent with weights; a subnet refuses one below its own. Default: that of bittensor 10.5.0.',
  }),
  'neuron.data_dir': setting({
    env: 'SUBREEL_DATA_DIR',
    schema: text(),
    default: join(homedir(), '.subreel'),
    help: 'Folder for state that must survive a restart: database, salts, signing keys of the built-in store.',
  }),
  'neuron.temp_dir': setting({
    env: 'SUBREEL_TEMP_DIR',
    schema: text(),
    help: 'Folder for working files; the system temporary folder when absent.',
  }),
  device: setting({
    env: 'SUBREEL_DEVICE',
    schema: device(),
    default: 'auto',
    help: 'Where models run. cuda never falls back silently; auto may use the CPU.',
  }),
  'cuda.visible_devices': setting({
    env: 'CUDA_VISIBLE_DEVICES',
    schema: list(),
    help: 'GPUs this process may use, as CUDA numbers them; all when absent.',
  }),
  'gpu.jobs': setting({
    env: 'GPU_JOBS',
    schema: int({ min: 1, max: 64 }),
    default: '1',
    for: ['miner', 'upscaler', 'compressor'],
    help: 'Jobs that may share one GPU, over all processes of this host.',
  }),
  'gpu.upscale_mb': setting({
    env: 'GPU_UPSCALE_MB',
    schema: int({ min: 1 }),
    default: '2000',
    for: ['miner', 'upscaler'],
    help: 'GPU memory that an upscaling task takes; it waits for a GPU with as much free.',
  }),
  'gpu.compress_mb': setting({
    env: 'GPU_COMPRESS_MB',
    schema: int({ min: 1 }),
    default: '1000',
    for: ['miner', 'compressor'],
    help: 'GPU memory that a compression task takes when NVENC encodes.',
  }),
  'ffmpeg.path': setting({
    env: 'FFMPEG_PATH',
    schema: text(),
    default: 'ffmpeg',
    help: 'ffmpeg program; a build with libvmaf makes compression probes faster.',
  }),
  'ffprobe.path': setting({
    env: 'FFPROBE_PATH',
    schema: text(),
    default: 'ffprobe',
    help: 'ffprobe program.',
  }),
  role: setting({
    schema: oneOf(['all', 'axon', 'worker']),
    default: 'all',
    for: ['miner'],
    help: 'all: axon and workers in one process; axon or worker: one of them, over the same Redis.',
  }),
  'redis.url': setting({
    env: 'REDIS_URL',
    schema: secretUrl('redis', 'rediss'),
    secret: true,
    default: 'redis://127.0.0.1:6379',
    for: ['miner', 'upscaler', 'compressor', 'deleter', 'gateway', 'validator'],
    help: 'Redis of the queue: noeviction and an append-only file are checked at start.',
  }),
  'bucket.type': setting({
    env: 'BUCKET_TYPE',
    envAliases: ['MINER_STORAGE_PROVIDER'],
    schema: bucketType(),
    default: 'builtin',
    for: STORES,
    help: 'Where results are stored: builtin (served from this machine under signed URLs), s3, aws, minio, backblaze, r2 or hippius; s3 when only a bucket is named.',
  }),
  'bucket.name': setting({
    env: 'BUCKET_NAME',
    envAliases: ['MINER_STORAGE_S3_BUCKET_NAME'],
    schema: text(),
    for: STORES,
    help: 'Bucket.',
  }),
  'bucket.endpoint': setting({
    env: 'BUCKET_COMPATIBLE_ENDPOINT',
    envAliases: ['BUCKET_ENDPOINT', 'MINER_STORAGE_S3_ENDPOINT_URL', 'MINER_STORAGE_S3_ENDPOINT'],
    schema: text(),
    for: STORES,
    help: 'Endpoint of an S3-compatible store, with or without https://; AWS when absent for s3.',
  }),
  'bucket.region': setting({
    env: 'BUCKET_REGION',
    envAliases: ['MINER_STORAGE_S3_REGION'],
    schema: text(),
    for: STORES,
    help: 'Region used in signatures; when absent that of the endpoint, else that of the service.',
  }),
  'bucket.access_key': setting({
    env: 'BUCKET_COMPATIBLE_ACCESS_KEY',
    envAliases: ['BUCKET_ACCESS_KEY', 'MINER_STORAGE_S3_ACCESS_KEY_ID'],
    schema: secret(),
    secret: true,
    for: STORES,
    help: 'Access key.',
  }),
  'bucket.secret_key': setting({
    env: 'BUCKET_COMPATIBLE_SECRET_KEY',
    envAliases: ['BUCKET_SECRET_KEY', 'MINER_STORAGE_S3_SECRET_ACCESS_KEY'],
    schema: secret(),
    secret: true,
    for: STORES,
    help: 'Secret key.',
  }),
  'bucket.public_url': setting({
    env: 'BUCKET_PUBLIC_URL',
    schema: url('http', 'https'),
    for: STORES,
    help: 'Origin of the built-in store as others reach it; the axon address when absent.',
  }),
  'bucket.expiry_seconds': setting({
    env: 'BUCKET_EXPIRY_SECONDS',
    envAliases: ['MINER_STORAGE_S3_PRESIGNED_EXPIRY', 'S3_PRESIGNED_EXPIRY'],
    schema: int({ min: 1, max: 604_800 }),
    default: '600',
    for: STORES,
    help: 'How long the URL of a result works; the object is deleted then.',
  }),
  'bucket.check_reachable': setting({
    schema: bool(),
    default: 'true',
    for: ['miner', 'upscaler', 'compressor'],
    help: 'Fetch the URL of a result once before it is announced; off where a router does not lead back.',
  }),
  'queue.max_waiting': setting({
    schema: int({ max: 10_000 }),
    default: '5',
    for: WORKERS,
    help: 'Tasks of one kind that may wait beyond those running; more are refused.',
  }),
  'queue.max_wait_seconds': setting({
    schema: int({ min: 1, max: 86_400 }),
    default: '60',
    for: ['miner'],
    help: 'Better staked tasks overtake a waiting one for no longer than this.',
  }),
  'queue.allow_volatile': setting({
    schema: bool(),
    default: 'false',
    for: ['miner'],
    help: 'Accept a Redis that keeps nothing on disk; its restart then loses tasks.',
  }),
  'queue.prefix': setting({
    // Connections are named after it, and Redis takes no spaces in their names.
    schema: text().refine((value) => !/\s/.test(value), 'must have no spaces'),
    default: '{subreel}',
    for: ['miner', 'upscaler', 'compressor', 'deleter'],
    help: 'Prefix of the keys in Redis; keep the braces on a cluster.',
  }),
  'miner.tasks': setting({
    env: 'SUBREEL_TASKS',
    schema: list(),
    default: 'upscaling,compression',
    for: ['miner'],
    help: 'Kinds of work this miner warrants and takes: upscaling, compression, generation (also where comfyui.servers is set).',
  }),
  'miner.max_content_length': setting({
    schema: oneOf(['5', '10', '20']),
    default: '10',
    for: ['miner'],
    help: 'Longest clip in seconds that synthetic tasks may have.',
  }),
  'miner.upscale_slots': setting({
    schema: int({ min: 1, max: 256 }),
    default: '1',
    for: ['miner'],
    help: 'Upscaling tasks that this process runs at once.',
  }),
  'miner.compress_slots': setting({
    schema: int({ min: 1, max: 256 }),
    default: '1',
    for: ['miner'],
    help: 'Compression tasks that this process runs at once.',
  }),
  'miner.generate_slots': setting({
    schema: int({ min: 1, max: 256 }),
    for: ['miner'],
    help: 'Generation tasks that this process runs at once; one per ComfyUI server when absent.',
  }),
  'miner.generate_timeout_seconds': setting({
    schema: int({ min: 10, max: 86_400 }),
    default: '1800',
    for: ['miner'],
    help: 'How long a generation task may take, from its acceptance to the upload.',
  }),
  'miner.generate_min_stake': setting({
    schema: number({ min: 0 }),
    default: '10000',
    for: ['miner'],
    help: 'Generation tasks of callers with less stake in TAO are refused with 403, as on subnet 99; not on the test network.',
  }),
  'miner.generate_blocked_ips': setting({
    schema: list(),
    for: ['miner'],
    help: 'Addresses and networks (10.0.0.0/8) whose generation tasks are refused with 403, as on subnet 99.',
  }),
  'miner.generate_workflow': setting({
    schema: text(),
    default: 'wan21-t2v-480p',
    for: ['miner'],
    help: 'Workflow that makes a video of a prompt that comes without one.',
  }),
  'miner.live': setting({
    schema: bool(),
    default: 'true',
    for: ['miner'],
    help: 'Show running generation tasks on the two ports above axon.port to whoever has a credential.',
  }),
  'workflows.folder': setting({
    schema: text(),
    for: NEURONS,
    help: 'Folder of more ComfyUI workflows, NAME.json with NAME.mapping.json; they come before shipped ones of the same name.',
  }),
  'miner.upscaler_url': setting({
    env: 'UPSCALER_URL',
    schema: url('http', 'https'),
    for: ['miner'],
    help: 'Upscaling service (POST /upscale-video) to use instead of the engine in this process.',
  }),
  'miner.compressor_url': setting({
    env: 'COMPRESSOR_URL',
    schema: url('http', 'https'),
    for: ['miner'],
    help: 'Compression service (POST /compress-video) to use instead of the engine in this process.',
  }),
  'upscale.engine': setting({
    env: 'UPSCALE_ENGINE',
    schema: oneOf(['auto', 'span', 'video2x']),
    default: 'auto',
    for: ['miner', 'upscaler'],
    help: 'What upscales: SPAN in this process, Video2X, or Video2X where it works (auto).',
  }),
  'upscale.codec': setting({
    schema: oneOf(['hevc', 'h264', 'av1']),
    default: 'hevc',
    for: ['miner', 'upscaler'],
    help: 'Codec of upscaled results.',
  }),
  'video2x.path': setting({
    env: 'VIDEO2X_PATH',
    schema: text(),
    default: 'video2x',
    for: ['miner', 'upscaler'],
    help: 'Video2X 6 program.',
  }),
  'video2x.device': setting({
    env: 'VIDEO2X_DEVICE',
    schema: int({ max: 63 }),
    for: ['miner', 'upscaler'],
    help: 'Vulkan device of Video2X, as video2x --list-devices numbers them.',
  }),
  'compress.hardware': setting({
    env: 'COMPRESS_HARDWARE',
    schema: bool(),
    default: 'false',
    for: ['miner', 'compressor'],
    help: 'Encode with NVENC when it works: faster, but more bytes for the same quality.',
  }),
  'compress.effort': setting({
    env: 'COMPRESS_EFFORT',
    schema: oneOf(['quick', 'normal', 'thorough']),
    for: ['miner', 'compressor'],
    help: 'How hard encoders try; when absent, what the time of each task allows.',
  }),
  'upscaler.port': setting({
    env: 'UPSCALER_PORT',
    schema: int({ max: 65_535 }),
    default: '29115',
    for: ['upscaler'],
    help: 'Port of the upscaling service; 0 takes a free one and logs it.',
  }),
  'compressor.port': setting({
    env: 'COMPRESSOR_PORT',
    schema: int({ max: 65_535 }),
    default: '29116',
    for: ['compressor'],
    help: 'Port of the compression service; 0 takes a free one and logs it.',
  }),
  'service.host': setting({
    env: 'SERVICE_HOST',
    schema: text(),
    default: '127.0.0.1',
    for: ['upscaler', 'compressor'],
    help: 'Address the service listens on; it has no authentication, so keep it private.',
  }),
  'service.active': setting({
    env: 'SERVICE_ACTIVE',
    schema: int({ min: 1, max: 256 }),
    default: '2',
    for: ['upscaler', 'compressor'],
    help: 'Jobs that the service works on at once.',
  }),
  'service.job_timeout_seconds': setting({
    schema: int({ min: 1, max: 86_400 }),
    default: '1200',
    for: ['upscaler', 'compressor'],
    help: 'A job of the service that takes longer is ended.',
  }),
  'miner.job_timeout_seconds': setting({
    schema: int({ min: 10, max: 86_400 }),
    default: '1200',
    for: ['miner'],
    help: 'How long a job that is polled for may take.',
  }),
  'miner.min_free_mb': setting({
    schema: int({ max: 10_000_000 }),
    default: '1024',
    for: ['miner'],
    help: 'No task is taken while the disk of the working files has less space than this.',
  }),
  'miner.max_temp_mb': setting({
    schema: int({ min: 100, max: 10_000_000 }),
    default: '9000',
    for: ['miner'],
    help: 'Working files beyond this are removed oldest first, those in use never.',
  }),
  'deleter.in_miner': setting({
    schema: bool(),
    default: 'true',
    for: ['miner'],
    help: 'Delete results in time in the miner itself; off where the deleter service does it.',
  }),
  'deleter.port': setting({
    schema: int({ max: 65_535 }),
    default: '29117',
    for: ['deleter'],
    help: 'Port of the deleter service on loopback; 0 takes a free one.',
  }),
  'deleter.every_seconds': setting({
    schema: int({ min: 1, max: 3600 }),
    default: '5',
    for: ['miner', 'deleter'],
    help: 'Time between two looks for results to delete.',
  }),
  'comfyui.servers': setting({
    env: 'COMFYUI_SERVERS',
    schema: places(),
    for: NEURONS,
    help: 'ComfyUI servers; scheme and port 8188 may be left out. A miner that has some takes generation; 127.0.0.1:8188 where they are needed and none is named.',
  }),
  'comfyui.tokens': setting({
    env: 'COMFYUI_TOKENS',
    schema: secretList(),
    secret: true,
    for: NEURONS,
    help: 'Bearer tokens, one per server in the same order; an empty one for a server without.',
  }),
  'comfyui.models': setting({
    schema: list(),
    for: NEURONS,
    help: 'Model files that workflows may load; every safetensors and GGUF file when absent.',
  }),
  'comfyui.nodes': setting({
    schema: text(),
    for: NEURONS,
    help: 'JSON file of rules for node classes that workflows may use besides the shipped ones (docs/reference/comfyui.md).',
  }),
  'comfyui.poll_seconds': setting({
    schema: number({ min: 0.1, max: 60 }),
    default: '2',
    for: NEURONS,
    help: 'Seconds between two looks at queue and history while a ComfyUI server says nothing of a prompt.',
  }),
  'comfyui.timeout_seconds': setting({
    schema: int({ min: 10, max: 86_400 }),
    default: '3600',
    for: NEURONS,
    help: 'How long a prompt may take at a ComfyUI server, its queue included; then it is cancelled.',
  }),
  'comfyui.warm_up': setting({
    schema: list(),
    for: ['miner'],
    help: 'Workflows whose models ComfyUI servers load before the first task comes.',
  }),
  'database.url': setting({
    env: 'DATABASE_URL',
    schema: secretUrl('postgres', 'postgresql', 'file'),
    secret: true,
    for: ['validator', 'gateway'],
    help: 'postgres://… for a server; an embedded file in the data folder when absent.',
  }),
  'validator.corpus': setting({
    env: 'SUBREEL_CORPUS',
    schema: text(),
    default: 'corpus',
    for: ['validator'],
    help: 'Folder of clips from which challenges are made, or s3://BUCKET/PREFIX, read with the bucket.* settings.',
  }),
  'validator.kinds': setting({
    schema: list(),
    default: 'compression,upscaling',
    for: ['validator'],
    help: 'Kinds of synthetic rounds: compression, upscaling, generation.',
  }),
  'validator.one_miner_per': setting({
    schema: oneOf(['hotkey', 'coldkey', 'ip']),
    default: 'hotkey',
    for: ['validator'],
    help: 'Of miners that share this, only the first registered is asked. Behind one address may be many honest owners: ip hurts them.',
  }),
  'validator.round_blocks': setting({
    schema: int({ min: 1, max: 100_000 }),
    default: '100',
    for: ['validator'],
    help: 'A round opens at every block that is a multiple of this.',
  }),
  'validator.round_delay_seconds': setting({
    schema: number({ min: 0, max: 86_400 }),
    default: '300',
    for: ['validator'],
    help: 'A round begins at a secret time up to this after its block, and before half of its blocks are over: else users are known by asking at other times.',
  }),
  'generation.workflows': setting({
    schema: list(),
    default: 'wan21-t2v-480p',
    for: ['validator'],
    help: 'Workflows that rounds of generation draw from.',
  }),
  'generation.round_blocks': setting({
    schema: int({ min: 1, max: 1_000_000 }),
    for: ['validator'],
    help: 'A round of generation opens at every block that is a multiple of this; validator.round_blocks when absent.',
  }),
  'generation.timeout_seconds': setting({
    schema: int({ min: 10, max: 86_400 }),
    default: '1800',
    for: ['validator'],
    help: 'How long a miner may take for a generation task.',
  }),
  'generation.poll_seconds': setting({
    schema: number({ min: 0.1, max: 60 }),
    default: '2',
    for: ['validator'],
    help: 'Seconds between two looks for results that miners upload.',
  }),
  'generation.keep_results': setting({
    schema: bool(),
    default: 'false',
    for: ['validator'],
    help: 'Keep judged results of rounds for a day, each with its URL in its score; otherwise they are deleted at once.',
  }),
  'generation.calibration': setting({
    schema: text(),
    for: ['validator'],
    help: 'JSON file of cosines between honest runs on pairs of graphics cards; thresholds are learnt from it.',
  }),
  'models.folder': setting({
    schema: text(),
    for: ['validator'],
    help: 'Folder of exported models of your own (docs/models.md): ImageBind judges generated videos when it is there.',
  }),
  'validator.seconds_per_gigapixel': setting({
    schema: number({ min: 0, max: 10_000 }),
    default: '0',
    for: ['validator'],
    help: 'Seconds a miner has for 1e9 pixels (frames × width × height), where that is more than its time for any task.',
  }),
  'validator.round_deadline_minutes': setting({
    schema: number({ min: 1, max: 1440 }),
    default: '120',
    for: ['validator'],
    help: 'The rounds of one boundary that take longer, judging included, are aborted and void.',
  }),
  'validator.clip_seconds': setting({
    schema: number({ min: 0.4, max: 600 }),
    default: '5',
    for: ['validator'],
    help: 'Length of a challenge.',
  }),
  'validator.thresholds': setting({
    schema: list(),
    default: '85,89,93',
    for: ['validator'],
    help: 'VMAF thresholds that compression rounds draw from.',
  }),
  'validator.codecs': setting({
    schema: list(),
    default: 'av1,hevc',
    for: ['validator'],
    help: 'Codecs that compression rounds draw from.',
  }),
  'validator.as_users': setting({
    schema: number({ min: 0, max: 1 }),
    default: '0.25',
    for: ['validator'],
    help: 'Share of compression rounds drawn from all that users may choose (every codec, thresholds 70 to 97) instead of those lists: else users are known by their choice.',
  }),
  'validator.task_types': setting({
    schema: list(),
    default: 'HD24K,SD2HD,SD24K,4K28K',
    for: ['validator'],
    help: 'Task types that upscaling rounds draw from; SD24K scales by four, the others by two.',
  }),
  'validator.store_host': setting({
    schema: text(),
    default: '127.0.0.1',
    for: ['validator'],
    help: 'Address on which the built-in store serves challenges; set bucket.public_url when miners are elsewhere.',
  }),
  'validator.store_port': setting({
    schema: int({ max: 65_535 }),
    default: '0',
    for: ['validator'],
    help: 'Port of the built-in store; 0 takes a free one.',
  }),
  'validator.sync_seconds': setting({
    schema: number({ min: 0.1, max: 3600 }),
    default: '60',
    for: ['validator'],
    help: 'Seconds between two readings of the subnet.',
  }),
  'validator.warrant_seconds': setting({
    schema: number({ min: 1, max: 86_400 }),
    default: '600',
    for: ['validator'],
    help: 'Seconds between asking miners what work they do.',
  }),
  'validator.retention_days': setting({
    schema: number({ min: 1, max: 3650 }),
    default: '90',
    for: ['validator'],
    help: "Rounds, scores and users' tasks that are over for longer than this are deleted.",
  }),
  'consensus.enabled': setting({
    schema: bool(),
    default: 'false',
    for: ['validator'],
    help: 'Exchange measurements with other validators over an axon of this one; needs axon.external_ip.',
  }),
  'consensus.every_seconds': setting({
    schema: number({ min: 5, max: 280 }),
    default: '120',
    for: ['validator'],
    help: 'Seconds between two exchanges; a report counts for five minutes.',
  }),
  'weights.pools': setting({
    schema: list(),
    default: 'compression=0.4,upscaling=0.3,generation=0.2,audio=0.1',
    for: ['validator'],
    help: 'Share of each kind of work in the weights; kinds left out earn nothing.',
  }),
  'weights.sharing': setting({
    schema: oneOf(['proportional', 'ranks']),
    default: 'proportional',
    for: ['validator'],
    help: 'How a pool is shared: by running score to a power, or fixed shares for the best.',
  }),
  'weights.power': setting({
    schema: number({ min: 0.1, max: 16 }),
    default: '2',
    for: ['validator'],
    help: 'Power of the running score in proportional sharing.',
  }),
  'weights.rank_shares': setting({
    schema: list(),
    default: '0.2,0.2,0.2,0.2,0.2',
    for: ['validator'],
    help: 'Shares of a pool for its best miners, best first, when shared by ranks.',
  }),
  'weights.min_tasks': setting({
    schema: int({ min: 1, max: 10_000 }),
    default: '1',
    for: ['validator'],
    help: 'Scored tasks that a miner needs before it is paid.',
  }),
  'weights.window_rows': setting({
    schema: int({ min: 10, max: 10_000 }),
    default: '100',
    for: ['validator'],
    help: 'Scores of each miner and kind that averages, success rates and reports are made of.',
  }),
  'weights.half_life_hours': setting({
    schema: number({ min: 0.1, max: 8760 }),
    default: '72',
    for: ['validator'],
    help: 'Idle time after which a running score counts half.',
  }),
  'weights.alpha_factor': setting({
    schema: number({ min: 0, max: 100 }),
    default: '0',
    for: ['validator'],
    help: 'How much alpha stake adds to a miner within its pool; 0 for not at all.',
  }),
  'weights.liquidation_factor': setting({
    schema: number({ min: 0, max: 100 }),
    default: '0',
    for: ['validator'],
    help: 'How much keeping emission of the last ten epochs adds; 0 for not at all, 5 on Vidaio.',
  }),
  'weights.burn': setting({
    schema: number({ min: 0, max: 1 }),
    default: '0',
    for: ['validator'],
    help: 'Share of all weight given to weights.burn_uid.',
  }),
  'weights.burn_uid': setting({
    schema: int({ max: 65_535 }),
    for: ['validator'],
    help: 'Uid that gets the burnt share.',
  }),
  'gateway.host': setting({
    schema: text(),
    default: '127.0.0.1',
    for: ['gateway'],
    help: 'Address the gateway listens on.',
  }),
  'gateway.port': setting({
    env: 'PORT',
    schema: int({ max: 65_535 }),
    default: '29996',
    for: ['gateway'],
    help: 'Port the gateway listens on.',
  }),
  'gateway.keys': setting({
    env: 'GATEWAY_API_KEYS',
    schema: secretList(),
    secret: true,
    for: ['gateway'],
    help: 'API keys as name:key, separated by commas; keys have 16 characters or more.',
  }),
  'gateway.daily_quota': setting({
    schema: int({ min: 1, max: 10_000_000 }),
    default: '1000',
    for: ['gateway'],
    help: 'Jobs that one API key may submit in a day (UTC).',
  }),
  'gateway.rate_per_minute': setting({
    schema: int({ min: 1, max: 1_000_000 }),
    default: '120',
    for: ['gateway'],
    help: 'Requests that one API key may make in a minute.',
  }),
  'organic.gateway': setting({
    schema: bool(),
    default: 'false',
    for: ['validator'],
    help: 'Serve the jobs that a gateway puts into Redis.',
  }),
  'organic.max_running': setting({
    schema: int({ min: 1, max: 1024 }),
    default: '16',
    for: ['validator'],
    help: 'Organic tasks in flight at once.',
  }),
  'organic.max_miners': setting({
    schema: int({ min: 1, max: 64 }),
    default: '3',
    for: ['validator'],
    help: 'Miners tried for one organic task.',
  }),
  'organic.hedge_seconds': setting({
    schema: number({ min: 1, max: 3600 }),
    default: '30',
    for: ['validator'],
    help: 'A miner that has not answered by then gets a rival.',
  }),
  'organic.exploration': setting({
    schema: number({ min: 0, max: 1 }),
    default: '0.1',
    for: ['validator'],
    help: 'Share of organic tasks that go first to a random miner.',
  }),
  'organic.sample': setting({
    schema: number({ min: 0, max: 1 }),
    default: '0.1',
    for: ['validator'],
    help: "Share of users' completed tasks that are judged and count for the miner.",
  }),
  'scorer.host': setting({
    schema: text(),
    default: '127.0.0.1',
    for: ['scorer'],
    help: 'Address the scorer listens on.',
  }),
  'scorer.port': setting({
    schema: int({ max: 65_535 }),
    default: '29090',
    for: ['scorer'],
    help: 'Port the scorer listens on.',
  }),
  'scorer.active': setting({
    schema: int({ min: 1, max: 64 }),
    default: '1',
    for: ['scorer'],
    help: 'Requests judged at once; each already uses every core.',
  }),
  'scorer.max_waiting': setting({
    schema: int({ max: 10_000 }),
    default: '8',
    for: ['scorer'],
    help: 'Requests that may wait; more are answered 429.',
  }),
  'scorer.job_timeout_seconds': setting({
    schema: number({ min: 1, max: 86_400 }),
    default: '900',
    for: ['scorer'],
    help: 'Seconds after which a request is given up.',
  }),
  'scorer.local_folders': setting({
    schema: list(),
    for: ['scorer'],
    help: 'Folders below which requests may name local files; none when absent.',
  }),
  'wandb.mode': setting({
    env: 'WANDB_MODE',
    schema: oneOf(['disabled', 'offline', 'online']),
    default: 'disabled',
    for: ['validator'],
    help: 'Weights & Biases: offline writes runs into the data folder, for wandb sync to upload; online is refused with that advice.',
  }),
  'wandb.project': setting({
    env: 'WANDB_PROJECT',
    schema: text(),
    default: 'subreel',
    for: ['validator'],
    help: 'Project of the Weights & Biases runs.',
  }),
  'allow-private-urls': setting({
    env: 'SUBREEL_ALLOW_PRIVATE_URLS',
    schema: bool(),
    default: 'false',
    help: 'Fetch URLs on loopback and private networks. For local networks only.',
  }),
  'allow-http-urls': setting({
    env: 'SUBREEL_ALLOW_HTTP_URLS',
    schema: bool(),
    default: 'true',
    help: 'Fetch plain http URLs; many miners serve results without TLS.',
  }),
  'fetch.max_mb': setting({
    schema: int({ min: 1, max: 100_000 }),
    default: '2048',
    for: [...WORKERS, 'validator', 'scorer', 'gateway'],
    help: 'No fetched file may be larger, in MB.',
  }),
  'admin.host': setting({
    env: 'SUBREEL_ADMIN_HOST',
    schema: text(),
    default: '127.0.0.1',
    help: 'Address of the admin server: health, metrics, log level.',
  }),
  'admin.port': setting({
    env: 'SUBREEL_ADMIN_PORT',
    schema: int({ max: 65_535 }),
    default: '0',
    help: 'Port of the admin server; 0 takes a free one and logs it.',
  }),
  'logging.debug': setting({ schema: bool(), default: 'false', help: 'Log at debug level.' }),
  'logging.trace': setting({ schema: bool(), default: 'false', help: 'Log at trace level.' }),
  'logging.info': setting({
    schema: bool(),
    default: 'false',
    help: 'Log at info level (the default).',
  }),
  'logging.logging_dir': setting({
    schema: text(),
    help: 'Also write the log to a file in this folder.',
  }),
  'shutdown.grace_seconds': setting({
    schema: number({ min: 0, max: 3600 }),
    default: '30',
    help: 'Seconds that running work has after SIGTERM before it is aborted.',
  }),
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof SETTINGS

type Value<K extends SettingName> = (typeof SETTINGS)[K] extends {
  readonly schema: infer S extends z.ZodType
}
  ? z.output<S>
  : never

/** Settings that always have a value: they have a default. */
type Defaulted = {
  [K in SettingName]: (typeof SETTINGS)[K] extends { readonly default: string } ? K : never
}[SettingName]

/** The effective configuration, by flag name. */
export type Config = {
  readonly [K in SettingName]: K extends Defaulted ? Value<K> : Value<K> | undefined
}
