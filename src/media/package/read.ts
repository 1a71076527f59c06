import { createWriteStream } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import { describeError } from '../../lib/errors.js'
import { MediaError } from '../errors.js'
import { sniff } from '../sniff.js'
import { type PackageMetadata, packageMetadataSchema } from './facts.js'
import {
  entryName,
  extensionOf,
  filesOf,
  isPlainName,
  type OutputFile,
  outputsSchema,
} from './files.js'

export interface PackageLimits {
  /** Files in a package, its JSON files included. */
  readonly entries: number
  /** All of them unpacked, in bytes. */
  readonly bytes: number
}

export const PACKAGE_LIMITS: PackageLimits = { entries: 66, bytes: 2 * 1024 ** 3 }
const MAX_JSON_BYTES = 1024 * 1024

export interface ReadPackage {
  /** In the order of outputs.json. */
  readonly files: readonly OutputFile[]
  /** Undefined where there is none, or none that is understood. */
  readonly metadata: PackageMetadata | undefined
}

/** Whether a file begins as a zip does. */
export async function isPackage(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0)
    return sniff(buffer.subarray(0, bytesRead)) === 'zip'
  } finally {
    await file.close()
  }
}

/**
 * Unpacks a stranger's package into `dir`. No name of the package becomes part of a path: files are
 * numbered. Sizes are counted while they are written, whatever the zip says of itself.
 * @throws MediaError MEDIA_PACKAGE_BAD, MEDIA_LIMIT_EXCEEDED
 */
export async function readPackage(
  path: string,
  dir: string,
  options: { readonly limits?: PackageLimits; readonly signal?: AbortSignal } = {},
): Promise<ReadPackage> {
  const limits = options.limits ?? PACKAGE_LIMITS
  const entries = await unpack(path, dir, limits, options.signal)
  const outputs = await parsedJson(entries.get('outputs.json'))
  const parsed = outputsSchema.safeParse(outputs)
  if (!parsed.success) throw bad('it has no outputs.json that says which node made what')
  const files: OutputFile[] = []
  for (const entry of filesOf(parsed.data)) {
    const found = entries.get(entryName(entry))
    if (found === undefined) throw bad('outputs.json names a file that is not in the package')
    if (files.some((file) => file.path === found.path)) throw bad('outputs.json names a file twice')
    files.push({ ...entry, ...found })
  }
  if (files.length === 0) throw bad('outputs.json names no file')
  const metadata = packageMetadataSchema.safeParse(
    await parsedJson(entries.get('metadata.json')).catch(() => undefined),
  )
  return { files, metadata: metadata.data }
}

type Unpacked = ReadonlyMap<string, { readonly path: string; readonly sizeBytes: number }>

async function unpack(
  path: string,
  dir: string,
  limits: PackageLimits,
  signal: AbortSignal | undefined,
): Promise<Unpacked> {
  const unpacked = new Map<string, { path: string; sizeBytes: number }>()
  let zip: ZipFile | undefined
  let total = 0
  try {
    zip = await openPromise(path, { strictFileNames: true, autoClose: false })
    if (zip.entryCount > limits.entries) throw exceeded('entries', zip.entryCount, limits.entries)
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted()
      const name = entry.fileName
      if (!isPlainName(name) || isLink(entry))
        throw bad('it holds something other than plain files')
      if (unpacked.has(name)) throw bad('it holds two files of one name')
      if (unpacked.size >= limits.entries)
        throw exceeded('entries', unpacked.size + 1, limits.entries)
      const target = join(dir, `file-${unpacked.size}${extensionOf(name)}`)
      const cap = limits.bytes - total
      await pipeline(
        await zip.openReadStreamPromise(entry),
        (source: Readable) => capped(source, cap, limits.bytes),
        createWriteStream(target, { flags: 'wx', mode: 0o600 }),
        ...(signal === undefined ? [] : [{ signal }]),
      )
      const sizeBytes = (await stat(target)).size
      total += sizeBytes
      unpacked.set(name, { path: target, sizeBytes })
    }
    return unpacked
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof MediaError) throw error
    throw bad(`it cannot be unpacked (${describeError(error).slice(0, 120)})`, error)
  } finally {
    zip?.close()
  }
}

async function* capped(source: Readable, cap: number, max: number): AsyncGenerator<Buffer> {
  let seen = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    seen += chunk.length
    if (seen > cap) throw exceeded('bytes', max + 1, max)
    yield chunk
  }
}

/** Unix file types other than a plain file: links, devices, folders. */
function isLink(entry: Entry): boolean {
  const type = (entry.externalFileAttributes >>> 16) & 0o170000
  return type !== 0 && type !== 0o100000
}

async function parsedJson(
  file: { readonly path: string; readonly sizeBytes: number } | undefined,
): Promise<unknown> {
  if (file === undefined || file.sizeBytes > MAX_JSON_BYTES) return undefined
  try {
    return JSON.parse(await readFile(file.path, 'utf8'))
  } catch (cause) {
    throw bad('one of its JSON files is none', cause)
  }
}

function bad(detail: string, cause?: unknown): MediaError {
  return new MediaError(
    { code: 'MEDIA_PACKAGE_BAD', detail },
    `not a package of generated files: ${detail}`,
    { cause },
  )
}

function exceeded(limit: string, value: number, max: number): MediaError {
  return new MediaError(
    { code: 'MEDIA_LIMIT_EXCEEDED', limit, value, max },
    `the package has more than ${max} ${limit}`,
  )
}
