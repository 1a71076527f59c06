// Prepares a checkout: tools, packages, build. No dependencies, idempotent, fast when there is
// nothing to do. Usage: node scripts/setup.mjs [--for test|demo]
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (line) => process.stdout.write(`setup: ${line}\n`)
const fail = (line) => {
  process.stderr.write(`setup: ${line}\n`)
  process.exit(1)
}
const run = (command, args, env = {}) => {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (result.status !== 0)
    fail(`${command} ${args.join(' ')} failed (${result.status ?? result.signal})`)
}
const has = (command) => spawnSync(command, ['-version'], { stdio: 'ignore' }).error === undefined

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node ${process.versions.node} is too old: install Node 20.19 or newer`)
}

const missing = [
  ['ffmpeg', 'ffmpeg'],
  ['ffprobe', 'ffmpeg'],
  ['redis-server', 'redis-server'],
].filter(([command]) => !has(command))
if (missing.length > 0) {
  const packages = [...new Set(missing.map(([, pack]) => pack))]
  const wanted = missing.map(([command]) => command).join(', ')
  if (process.platform === 'darwin' && has('brew')) {
    say(`${wanted} missing: installing ${packages.join(' ')} with Homebrew`)
    run('brew', ['install', ...packages.map((p) => (p === 'redis-server' ? 'redis' : p))])
  } else if (has('apt-get')) {
    const sudo = process.getuid?.() === 0 ? [] : ['sudo']
    say(`${wanted} missing: installing ${packages.join(' ')} with apt-get`)
    const apt = (...args) => {
      const line = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
      run(line[0], line.slice(1))
    }
    // Debian would start a Redis on its default port: keep the machine as it is.
    apt('update', '-qq')
    const policy = '/usr/sbin/policy-rc.d'
    const hold = sudo.length === 0 && !existsSync(policy)
    if (hold) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    try {
      apt('install', '-y', '-qq', '--no-install-recommends', ...packages)
    } finally {
      if (hold) execFileSync('rm', ['-f', policy])
    }
  } else {
    fail(
      `${wanted} missing and neither apt-get nor brew found: install ${packages.join(' and ')} and run again`,
    )
  }
}

const lock = readFileSync(join(root, 'package-lock.json'))
const stampFile = join(root, 'node_modules', '.subreel-lock-sha256')
const stamp = createHash('sha256').update(lock).digest('hex')
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp) {
  say('installing npm packages (npm ci)')
  // The CPU runtime is inside the package; its install script only fetches CUDA libraries.
  run('npm', ['ci', '--no-audit', '--no-fund'], {
    ONNXRUNTIME_NODE_INSTALL_CUDA: process.env.ONNXRUNTIME_NODE_INSTALL_CUDA ?? 'skip',
  })
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(stampFile, stamp)
}
say('building')
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'])
say('ready')
