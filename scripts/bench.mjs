// Runs a benchmark of test/bench. Usage: npm run bench -- NAME [arguments]
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const built = join(root, '.build', 'test', 'bench')
const [name, ...args] = process.argv.slice(2)
const file = join(built, `${name}.js`)
if (name === undefined || !existsSync(file)) {
  const names = existsSync(built)
    ? readdirSync(built).filter(
        (entry) => entry.endsWith('.bench.js') || /^[a-z-]+\.js$/.test(entry),
      )
    : []
  process.stderr.write(
    `usage: npm run bench -- NAME\nnames: ${names.map((n) => n.replace(/\.js$/, '')).join(', ') || 'none; run npm run build first'}\n`,
  )
  process.exit(1)
}
const child = spawn(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit' })
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
