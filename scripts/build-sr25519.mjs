// Makes native/sr25519/sr25519.wasm from the Rust beside it, and prints its SHA-256, which
// test/unit/wallet/sr25519.test.ts pins. Needs cargo and the target wasm32-unknown-unknown.
// Usage: node scripts/build-sr25519.mjs
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const crate = fileURLToPath(new URL('../native/sr25519/', import.meta.url))
const output = join(crate, 'sr25519.wasm')
const cargo = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
const run = (command, args, env = {}) =>
  execFileSync(command, args, {
    cwd: crate,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })

run('cargo', ['fetch'])
const sources = join(cargo, 'registry', 'src')
// Panic messages name source files: without this, those of the machine that built it.
const remapped = [
  [crate.replace(/\/$/, ''), 'sr25519'],
  ...readdirSync(sources).map((registry) => [join(sources, registry), 'crates']),
  [run('rustc', ['--print', 'sysroot']).trim(), 'rust'],
].map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
run('cargo', ['build', '--release', '--target', 'wasm32-unknown-unknown'], {
  CARGO_ENCODED_RUSTFLAGS: remapped.join('\x1f'),
})
copyFileSync(join(crate, 'target', 'wasm32-unknown-unknown', 'release', 'sr25519.wasm'), output)
const bytes = readFileSync(output)
process.stdout.write(`${createHash('sha256').update(bytes).digest('hex')} ${bytes.length} bytes\n`)
