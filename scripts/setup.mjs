// Prepares a checkout: tools, packages, build. No dependencies, idempotent, seconds when there is
// nothing to do. Usage: node scripts/setup.mjs [--for test|demo]
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const purpose = process.argv.includes('--for')
  ? process.argv[process.argv.indexOf('--for') + 1]
  : undefined

const say = (line) => process.stdout.write(`setup: ${line}\n`)
const fail = (line) => {
  process.stderr.write(`setup: ${line}\n`)
  process.exit(1)
}
const run = (command, args, options = {}) => {
  const env = { ...process.env, ...options.env }
  const stdio = options.input === undefined ? 'inherit' : ['pipe', 'inherit', 'inherit']
  const result = spawnSync(command, args, { cwd: root, stdio, env, input: options.input })
  if (result.status !== 0)
    fail(
      `${command} ${args.join(' ')} failed (${result.status ?? result.signal ?? result.error?.message})`,
    )
}
const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined
// Debian keeps PostgreSQL's programs off the PATH.
const hasPostgres = () =>
  has('initdb') ||
  (existsSync('/usr/lib/postgresql') && readdirSync('/usr/lib/postgresql').length > 0)

const hasPip = () =>
  spawnSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0

/** What the machine must have, how to see it, and what brings it. */
const TOOLS = [
  {
    name: 'ffmpeg and ffprobe',
    found: () => has('ffmpeg') && has('ffprobe'),
    apt: 'ffmpeg',
    brew: 'ffmpeg',
  },
  { name: 'redis-server', found: () => has('redis-server'), apt: 'redis-server', brew: 'redis' },
  {
    name: 'PostgreSQL (for the tests)',
    found: hasPostgres,
    apt: 'postgresql',
    brew: 'postgresql@15',
    only: 'test',
  },
  {
    name: 'pip, which brings an S3 server (for the tests)',
    found: hasPip,
    apt: 'python3-pip',
    brew: 'python',
    only: 'test',
  },
]

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.versions.node} is too old: install Node 20.19 or newer`)
  }
}

function installTools() {
  const missing = TOOLS.filter(
    (tool) => (tool.only === undefined || tool.only === purpose) && !tool.found(),
  )
  if (missing.length === 0) return
  const names = missing.map((tool) => tool.name).join(', ')
  if (process.platform === 'darwin' && has('brew')) {
    say(`${names} missing: installing with Homebrew`)
    run('brew', ['install', ...missing.map((tool) => tool.brew)])
  } else if (has('apt-get')) {
    say(`${names} missing: installing with apt-get`)
    installWithApt(missing.map((tool) => tool.apt))
  } else {
    fail(`${names} missing, and neither apt-get nor brew is here: install them and run this again`)
  }
}

/** Installs packages without letting Debian start a server on a default port. */
function installWithApt(packages) {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo']
  const asRoot = (...words) => {
    const [command, ...args] = [...sudo, ...words]
    run(command, args)
  }
  const policy = '/usr/sbin/policy-rc.d'
  const hold = !existsSync(policy)
  if (hold) {
    const [command, ...args] = [...sudo, 'sh', '-c', `cat > ${policy} && chmod 755 ${policy}`]
    run(command, args, { input: '#!/bin/sh\nexit 101\n' })
  }
  const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']
  asRoot(...apt, 'update', '-qq')
  const [command, ...args] = [
    ...sudo,
    ...apt,
    'install',
    '-y',
    '-qq',
    '--no-install-recommends',
    ...packages,
  ]
  const installed = spawnSync(command, args, { stdio: 'inherit' })
  if (hold) asRoot('rm', '-f', policy)
  if (installed.status !== 0) fail(`apt-get could not install ${packages.join(' ')}`)
}

function installPackages() {
  const stampFile = join(root, 'node_modules', '.subreel-lock-sha256')
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  say('installing npm packages (npm ci)')
  // The CPU runtime is inside onnxruntime-node; its install script only fetches the CUDA libraries.
  const cuda = process.env.ONNXRUNTIME_NODE_INSTALL_CUDA ?? 'skip'
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    env: { ONNXRUNTIME_NODE_INSTALL_CUDA: cuda },
  })
  writeFileSync(stampFile, stamp)
}

checkNode()
installTools()
installPackages()
say('building')
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'])
say('ready')
