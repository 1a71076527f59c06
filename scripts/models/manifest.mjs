// models/manifest.json: what ships, from where, under which licence, with its hash.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../models/', import.meta.url))

/** Writes `models/<entry.file>` and its manifest entry `{ name, file, licence, source }`. */
export function writeModel(entry, data) {
  const path = join(folder, entry.file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, data)
  const sha256 = createHash('sha256').update(data).digest('hex')
  const manifestPath = join(folder, 'manifest.json')
  const others = existsSync(manifestPath)
    ? JSON.parse(readFileSync(manifestPath, 'utf8')).filter((other) => other.name !== entry.name)
    : []
  const { name, file, licence, source } = entry
  const all = [...others, { name, file, sha256, licence, source }]
  all.sort((a, b) => (a.name < b.name ? -1 : 1))
  writeFileSync(manifestPath, `${JSON.stringify(all, null, 2)}\n`)
  process.stdout.write(`models/${file}: ${data.length} bytes, sha256 ${sha256}\n`)
}
