import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { ZipFile } from 'yazl'
import { MediaError } from '../errors.js'
import type { PackageMetadata } from './facts.js'
import { entryName, isPlainName, type OutputFile, outputsOf } from './files.js'

/** One date for all: the same files give the same package. */
const EPOCH = new Date(Date.UTC(1980, 0, 1))
const OPTIONS = { mtime: EPOCH, mode: 0o100644, compress: false, forceDosTimestamp: true }

/**
 * Zips what a workflow saved: each file as `NODE_LIST_NAME`, `outputs.json` as ComfyUI's history has it
 * (subnet 99's package), and `metadata.json` with what is true of the files. Videos are stored as they are.
 * @throws MediaError MEDIA_PACKAGE_BAD for a name that would not stay in the package
 */
export async function writePackage(
  path: string,
  files: readonly OutputFile[],
  metadata: PackageMetadata,
): Promise<void> {
  const zip = new ZipFile()
  const names = new Set<string>()
  for (const file of files) {
    const name = entryName(file)
    if (!isPlainName(name) || names.has(name)) {
      throw new MediaError(
        { code: 'MEDIA_PACKAGE_BAD', detail: 'name' },
        `a node saved a file whose name cannot be packed: ${JSON.stringify(name).slice(0, 100)}`,
      )
    }
    names.add(name)
    zip.addFile(file.path, name, OPTIONS)
  }
  zip.addBuffer(json(outputsOf(files)), 'outputs.json', OPTIONS)
  zip.addBuffer(json(metadata), 'metadata.json', OPTIONS)
  zip.end()
  await pipeline(zip.outputStream, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
}

const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
