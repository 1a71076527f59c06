import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ZipFile } from 'yazl'
import { MediaError } from '#src/media/index.js'
import {
  isPackage,
  type OutputFile,
  outputsOf,
  readPackage,
  writePackage,
} from '#src/media/package/index.js'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-package-'))
})
afterEach(() => rm(dir, { recursive: true }))

const metadata = { version: 1 as const, gpu: 'Test GPU', files: [] }

async function output(nodeId: string, filename: string, text: string): Promise<OutputFile> {
  const path = join(dir, `source-${nodeId}-${Buffer.from(filename).toString('hex')}`)
  await writeFile(path, text)
  return {
    nodeId,
    key: 'images',
    filename,
    subfolder: 'video',
    type: 'output',
    path,
    sizeBytes: text.length,
  }
}

/** A zip of entries whose names are put in afterwards, so that they may be anything of that length. */
async function forged(entries: readonly { name: string; text: string; mode?: number }[]) {
  const zip = new ZipFile()
  const stand = entries.map(({ name }, i) => String(i).padStart(Buffer.byteLength(name), 'x'))
  for (const [i, { text, mode }] of entries.entries())
    zip.addBuffer(Buffer.from(text), stand[i] ?? '', { mode: mode ?? 0o100644 })
  zip.end()
  const path = join(dir, 'forged.zip')
  await pipeline(zip.outputStream, createWriteStream(path))
  let bytes = (await readFile(path)).toString('latin1')
  for (const [i, { name }] of entries.entries())
    bytes = bytes.replaceAll(stand[i] ?? '', Buffer.from(name).toString('latin1'))
  await writeFile(path, Buffer.from(bytes, 'latin1'))
  return path
}

const refused =
  (code = 'MEDIA_PACKAGE_BAD') =>
  (error: unknown) =>
    error instanceof MediaError && error.code === code

const outputsJson = (files: readonly OutputFile[]) => ({
  name: 'outputs.json',
  text: JSON.stringify(outputsOf(files)),
})

describe('a package of generated files', () => {
  it('holds every file, outputs.json and metadata, and comes back the same', async () => {
    const files = [
      await output('12', 'wan_00001_.mp4', 'video'),
      await output('9', 'frame été.png', 'image'),
    ]
    const path = join(dir, 'p.zip')
    await writePackage(path, files, metadata)
    assert.equal(await isPackage(path), true)
    const read = await readPackage(path, dir)
    const plain = (list: readonly OutputFile[]) =>
      list.map(({ path: _, ...rest }) => rest).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
    assert.deepEqual(plain(read.files), plain(files))
    assert.deepEqual(read.metadata, metadata)
    for (const file of read.files) {
      const source = files.find(({ nodeId }) => nodeId === file.nodeId)
      assert.equal(await readFile(file.path, 'utf8'), await readFile(source?.path ?? '', 'utf8'))
    }
  })

  it('is the same bytes for the same files', async () => {
    const files = [await output('1', 'a.mp4', 'video')]
    const [one, two] = [join(dir, 'one.zip'), join(dir, 'two.zip')]
    await writePackage(one, files, metadata)
    await writePackage(two, files, metadata)
    assert.deepEqual(await readFile(one), await readFile(two))
  })

  it('is not made of names that would leave their folder', async () => {
    for (const name of ['../../etc/cron.d/x.mp4', 'a/b.mp4', 'a\\b.mp4', 'a\u0000.mp4']) {
      const files = [await output('1', name, 'x')]
      await assert.rejects(writePackage(join(dir, 'bad.zip'), files, metadata), refused(), name)
    }
  })

  it('is refused when a name leads elsewhere, whatever the system', async () => {
    const before = await readdir(dir)
    for (const name of [
      '../../evil.mp4',
      '/tmp/evil.mp4',
      'sub/evil.mp4',
      'sub\\evil.mp4',
      'C:evil.mp4',
      '..',
      '.hidden',
      'a\u0007.mp4',
    ]) {
      const path = await forged([{ name, text: 'x' }])
      await assert.rejects(readPackage(path, dir), refused(), JSON.stringify(name))
    }
    const left = (await readdir(dir)).filter((name) => !before.includes(name))
    assert.deepEqual(left, ['forged.zip'])
  })

  it('is refused when it holds links, lies about its files, or lacks outputs.json', async () => {
    const file = await output('1', 'a.mp4', 'video')
    const entry = { name: '1_images_a.mp4', text: 'video' }
    const cases: Record<string, Parameters<typeof forged>[0]> = {
      link: [{ ...entry, text: '/etc/passwd', mode: 0o120777 }, outputsJson([file])],
      absent: [outputsJson([file])],
      twice: [entry, outputsJson([file, file])],
      'no outputs.json': [entry],
      'outputs.json that is no JSON': [entry, { name: 'outputs.json', text: '{' }],
      'outputs.json without a file': [entry, { name: 'outputs.json', text: '{}' }],
      'two entries of one name': [entry, { ...entry, text: 'other' }, outputsJson([file])],
    }
    for (const [what, entries] of Object.entries(cases)) {
      const path = await forged(entries)
      const target = await mkdtemp(join(dir, 'out-'))
      await assert.rejects(readPackage(path, target), refused(), what)
    }
    const noZip = join(dir, 'no.zip')
    await writeFile(noZip, 'PK not really')
    await assert.rejects(readPackage(noZip, dir), refused())
  })

  it('is cut off when it unpacks to more than allowed, without being written whole', async () => {
    const bomb = '0'.repeat(20_000_000)
    const path = await forged([{ name: '1_images_a.mp4', text: bomb }])
    assert.ok((await stat(path)).size < 100_000, 'the bomb is small while packed')
    const limits = { entries: 4, bytes: 1_000_000 }
    await assert.rejects(readPackage(path, dir, { limits }), refused('MEDIA_LIMIT_EXCEEDED'))
    const written = await stat(join(dir, 'file-0.mp4'))
    assert.ok(written.size <= limits.bytes, `${written.size} bytes were written`)
    const many = await forged(
      Array.from({ length: 5 }, (_, i) => ({ name: `${i}_images_a.mp4`, text: 'x' })),
    )
    await assert.rejects(
      readPackage(many, await mkdtemp(join(dir, 'out-')), { limits }),
      refused('MEDIA_LIMIT_EXCEEDED'),
    )
  })
})
