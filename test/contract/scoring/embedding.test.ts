import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SeededRng } from '#src/lib/rng.js'
import { fileUrl, runFfmpeg } from '#src/media/index.js'
import {
  cosine,
  createEfficientNetEmbedder,
  createImageBindEmbedder,
  createPieApp,
  type Embedder,
  MetricsError,
  SHIPPED_MODELS,
} from '#src/scoring/metrics/index.js'

const fixtures = fileURLToPath(new URL('../../../../test/fixtures/', import.meta.url))
const clip = (name: string) => join(fixtures, 'media', `${name}.mp4`)
/** Stand-ins with the inputs and outputs of the models that do not ship (make.mjs). */
const modelsFolder = join(fixtures, 'models')

describe('EfficientNet-Lite0', () => {
  let embedder: Embedder
  before(async () => {
    embedder = await createEfficientNetEmbedder({ device: 'cpu', lanes: 1 })
  })
  after(() => embedder.close())

  test('tells a copy from a worse copy and from another clip', async () => {
    const names = ['bbb480.ref', 'bbb480.crf23', 'bbb480.crf40', 'launch.ref']
    const found = []
    for (const name of names) found.push((await embedder.embed(clip(name))).video)
    const [ref, good, bad, other] = found as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    const [toGood, toBad, toOther] = [cosine(ref, good), cosine(ref, bad), cosine(ref, other)]
    assert.ok(toGood > 0.97, `crf 23: ${toGood}`)
    assert.ok(toBad > 0.69 && toBad < toGood, `crf 40: ${toBad}`)
    assert.ok(toOther < 0.45, `another clip: ${toOther}`)
    assert.equal(ref.length, 1280)
  })

  test('names its model with the hash, and is deaf', async () => {
    assert.equal(embedder.hears, false)
    assert.match(embedder.models[0]?.sha256 ?? '', /^[0-9a-f]{64}$/)
  })
})

describe('models of the operator’s own', () => {
  let folder = ''
  let loud = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-embedding-'))
    loud = join(folder, 'loud.mp4')
    await runFfmpeg([
      ...['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=12:d=4'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100:d=4'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
      fileUrl(loud),
    ])
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('ImageBind: picture and sound of the same file agree with themselves only', async () => {
    const embedder = await createImageBindEmbedder({ device: 'cpu', lanes: 1, modelsFolder })
    try {
      const own = await embedder.embed(loud)
      const again = await embedder.embed(loud)
      const other = await embedder.embed(clip('launch.ref'))
      assert.ok(cosine(own.video, again.video) > 0.99999)
      assert.ok(own.audio !== undefined && again.audio !== undefined)
      assert.ok(cosine(own.audio, again.audio) > 0.99999)
      assert.ok(cosine(own.video, other.video) < 0.999)
      assert.equal(other.audio, undefined)
      assert.deepEqual(
        embedder.models.map((model) => model.name),
        ['imagebind_vision', 'imagebind_audio'],
      )
    } finally {
      await embedder.close()
    }
  })

  test('PIE-APP: 0 for the same clip, more for a worse one, the same from the same seed', async () => {
    const pieapp = await createPieApp({ device: 'cpu', lanes: 1, modelsFolder })
    try {
      const score = (kind: string) =>
        pieapp.score(clip('launch.ref'), clip(`launch.${kind}`), { rng: new SeededRng('a') })
      const same = await score('ref')
      const bright = await score('bright')
      assert.equal(same.value, 0)
      assert.equal(same.frames.length, 4)
      assert.ok(bright.value > 0.05 && bright.value < 1, `bright: ${bright.value}`)
      assert.deepEqual(await score('bright'), bright)
    } finally {
      await pieapp.close()
    }
  })

  test('without their models they say so', async () => {
    const missing = (error: unknown) =>
      error instanceof MetricsError && error.code === 'METRICS_MODEL_MISSING'
    const none = { device: 'cpu' as const, lanes: 1, modelsFolder: SHIPPED_MODELS }
    await assert.rejects(createImageBindEmbedder(none), missing)
    await assert.rejects(createPieApp(none), missing)
  })
})
