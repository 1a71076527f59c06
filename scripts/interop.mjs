// Runs the interop check against the real Python SDKs. Installs them once, in .cache/interop.
// Usage: node scripts/interop.mjs [wire] [chain] [generation] [--install-only] [--if-possible]
// Without a part named, all run.
// --if-possible ends well, having done nothing, where no Python fits.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache', 'interop')
/** What runs against the SDKs, by name. */
const PARTS = { wire: 'interop.js', chain: 'chain.js', generation: 'generation.js' }
const SDKS = ['10.5.0', '8.5.2', '11.3.0']
/** 8.5.2 has no wheels for newer Pythons. */
const PYTHONS = ['python3.11', 'python3.12', 'python3.10', 'python3']

const say = (line) => process.stdout.write(`interop: ${line}\n`)
const fail = (line) => {
  process.stderr.write(`interop: ${line}\n`)
  process.exit(1)
}
const run = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })

function findPython() {
  const probe = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])'
  for (const command of PYTHONS) {
    const { status, stdout } = spawnSync(command, ['-c', probe], { encoding: 'utf8' })
    if (status === 0 && /^3\.(10|11|12)\s*$/.test(stdout)) return command
  }
  if (process.argv.includes('--if-possible')) {
    say('skipped: no Python 3.10 to 3.12 with venv here')
    process.exit(0)
  }
  return fail('no Python 3.10 to 3.12 with venv found: install python3.11 and python3.11-venv')
}

function install(sdk) {
  const home = join(cache, `venv-${sdk}`)
  const stamp = join(home, '.installed')
  if (existsSync(stamp)) return
  say(`installing bittensor ${sdk}`)
  rmSync(home, { recursive: true, force: true })
  mkdirSync(cache, { recursive: true })
  const started = Date.now()
  const pip = [
    join(home, 'bin', 'python'),
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-compile',
    '--prefer-binary',
  ]
  if (run(findPython(), ['-m', 'venv', home]).status !== 0) fail('could not make an environment')
  if (run(pip[0], [...pip.slice(1), `bittensor==${sdk}`]).status !== 0) {
    fail(`could not install bittensor ${sdk}: see pip's message above`)
  }
  writeFileSync(stamp, `${sdk}\n`)
  say(`installed bittensor ${sdk} in ${Math.round((Date.now() - started) / 1000)} s`)
}

for (const sdk of SDKS) install(sdk)
if (!process.argv.includes('--install-only')) {
  const named = process.argv.slice(2).filter((word) => !word.startsWith('--'))
  const unknown = named.find((word) => !Object.hasOwn(PARTS, word))
  if (unknown !== undefined) fail(`no part ${unknown}: there are ${Object.keys(PARTS).join(', ')}`)
  const statuses = (named.length === 0 ? Object.keys(PARTS) : named).map((part) => {
    const built = join(root, '.build', 'test', 'interop', PARTS[part])
    if (!existsSync(built)) fail('not built: run `npm run build` first')
    return run(process.execPath, [built]).status ?? 1
  })
  process.exit(Math.max(...statuses))
}
