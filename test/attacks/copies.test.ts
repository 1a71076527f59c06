// Another miner's result handed in as one's own, and honest miners who think alike.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { sha256OfFile } from '#src/lib/hash.js'
import { probeVideo } from '#src/media/index.js'
import { analyse } from '#src/scoring/gates/analyse.js'
import { type Arrival, compareFingerprints, findCopies } from '#src/scoring/gates/copies.js'
import { ENCODE, ffmpeg, makeReference } from './kit.js'

describe('copies between miners', () => {
  let folder: string
  const arrivals = new Map<string, Arrival>()

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-copies-'))
    const reference = await makeReference('bbb480', 25, folder)
    const path = (id: string): string => join(folder, `${id}.mp4`)
    const from = (source: string, id: string, ...args: readonly string[]): Promise<void> =>
      ffmpeg('-i', source, ...args, path(id))
    await from(reference.path, 'original', ...ENCODE)
    await from(reference.path, 'twin', ...ENCODE)
    await from(reference.path, 'next-crf', ...ENCODE, '-crf', '27')
    await from(reference.path, 'slower', ...ENCODE, '-preset', 'slow')
    await from(path('original'), 'renamed', '-c', 'copy', '-metadata', 'comment=mine')
    await from(path('original'), 're-encoded', ...ENCODE, '-crf', '20')
    await from(path('original'), 'with-noise', '-vf', 'noise=alls=4:allf=t', ...ENCODE)
    const ids = ['original', 'twin', 'next-crf', 'slower', 'renamed', 're-encoded', 'with-noise']
    const info = await probeVideo(reference.path)
    const analysis = await analyse({ path: reference.path, info }, ids.map(path), {})
    for (const [index, id] of ids.entries()) {
      const result = analysis.results[index]
      assert.ok(result !== undefined)
      const fingerprint = {
        sha256: await sha256OfFile(path(id)),
        frames: result.framesSha256,
        residual: result.comparison.sketch.values(),
      }
      arrivals.set(id, { id, arrivedAtMs: index, fingerprint })
    }
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const arrival = (id: string): Arrival => {
    const found = arrivals.get(id)
    assert.ok(found !== undefined, id)
    return found
  }
  const kind = (id: string): string =>
    compareFingerprints(arrival('original').fingerprint, arrival(id).fingerprint).kind

  it('recognises the same file and the same pictures in another file', () => {
    assert.equal(kind('twin'), 'same-file')
    assert.equal(kind('renamed'), 'same-frames')
  })

  it('recognises a re-encode, with or without noise', () => {
    assert.equal(kind('re-encoded'), 'derived')
    assert.equal(kind('with-noise'), 'derived')
  })

  it('tells honest encodes at neighbouring settings apart', () => {
    assert.equal(kind('next-crf'), 'independent')
    assert.equal(kind('slower'), 'independent')
  })

  it('convicts the later of two alike, but not a twin with equal settings', () => {
    const all = [...arrivals.values()].reverse()
    const copies = findCopies(all)
    assert.deepEqual([...copies.keys()].sort(), ['re-encoded', 'with-noise'])
    assert.ok([...copies.values()].every((copy) => copy.of === 'original'))
    const strict = findCopies(all, { identical: 'copy' })
    assert.ok(strict.has('twin') && strict.has('renamed') && !strict.has('next-crf'))
  })
})
