import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import {
  compareScores,
  MetricsError,
  SessionManager,
  SHIPPED_MODELS,
  selfCheckGpu,
} from '#src/scoring/metrics/index.js'
import type { Tensors } from '#src/scoring/metrics/lane-protocol.js'
import type { ModelStore } from '#src/scoring/metrics/models.js'
import { builtInClip, scoreClip } from '#src/scoring/metrics/self-check.js'
import { type Machine, numbers } from '#src/scoring/metrics/session.js'
import { LaneFailure, WorkerLane } from '#src/scoring/metrics/worker-lane.js'

/** A picture of soft blocks, and one like it with noise: values 0–255. */
function pictures(rng: SeededRng, width: number, height: number): [number[], number[]] {
  const blocks = rng.bytes(Math.ceil(width / 4) * Math.ceil(height / 4))
  const noise = rng.bytes(width * height)
  const ref = Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    return blocks[(y >> 2) * Math.ceil(width / 4) + (x >> 2)] ?? 0
  })
  const dist = ref.map((value, i) => Math.max(0, Math.min(255, value + ((noise[i] ?? 0) >> 4) - 8)))
  return [ref, dist]
}

const code = (wanted: string) => (error: unknown) =>
  error instanceof MetricsError && error.code === wanted

describe('the graphs of VMAF', () => {
  let sessions: SessionManager
  before(async () => {
    sessions = await SessionManager.create({ device: 'cpu', lanes: 1 })
  })
  after(() => sessions.close())

  const eight = (values: readonly number[]) => new Uint8Array(values).buffer as ArrayBuffer
  const ten = (values: readonly number[]) =>
    new Uint16Array(values.map((value) => value * 4)).buffer as ArrayBuffer

  async function features(model: string, depth: 8 | 10, width: number, height: number) {
    const [ref, dist] = pictures(new SeededRng(`${width}x${height}`), width, height)
    const tensor = (values: readonly number[]) => ({
      type: depth === 8 ? ('uint8' as const) : ('uint16' as const),
      dims: [1, 1, height, width],
      data: depth === 8 ? eight(values) : ten(values),
    })
    const result = await sessions.run(model, { ref: tensor(ref), dist: tensor(dist) })
    return [...numbers(result, 'features')]
  }

  for (const [width, height] of [
    [32, 32],
    [47, 35],
    [130, 100],
    [64, 97],
  ] as const) {
    test(`agree in strips and in batches at ${width}x${height}, 8 and 10 bit`, async () => {
      const whole = await features('vmaf_features_8bit_batched', 8, width, height)
      const strips = await features('vmaf_features_8bit', 8, width, height)
      const deep = await features('vmaf_features_10bit', 10, width, height)
      for (const [i, value] of whole.entries()) {
        assert.ok(value > 0 && value < 1.5, `feature ${i} is ${value}`)
        assert.ok(Math.abs((strips[i] ?? 0) - value) < 2e-4, `strips, feature ${i}: ${strips[i]}`)
        assert.ok(Math.abs((deep[i] ?? 0) - value) < 2e-4, `10 bit, feature ${i}: ${deep[i]}`)
      }
    })
  }

  // libvmaf 86da14d (ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1) on these two pictures.
  test('a bright slope explains nothing of a busy picture, as in libvmaf', async () => {
    const [width, height] = [160, 128]
    const [ref] = pictures(new SeededRng('slope'), width, height)
    const slope = ref.map((_, i) => 200 + (((i % width) + Math.floor(i / width)) >> 3))
    const picture = (values: readonly number[]) => ({
      type: 'uint8' as const,
      dims: [1, 1, height, width],
      data: eight(values),
    })
    const wanted = [0.079319, 0.000534, 0.001528, 0.002466, 0.004708]
    for (const model of ['vmaf_features_8bit', 'vmaf_features_8bit_batched']) {
      const result = await sessions.run(model, { ref: picture(ref), dist: picture(slope) })
      const values = [...numbers(result, 'features')]
      for (const [i, value] of [...wanted, ...wanted].entries()) {
        assert.ok(Math.abs((values[i] ?? 0) - value) < 5e-5, `${model} ${i}: ${values[i]}`)
      }
    }
  })

  test('frames of a batch do not touch each other', async () => {
    const [a, b] = [pictures(new SeededRng('a'), 40, 36), pictures(new SeededRng('b'), 40, 36)]
    const run = async (frames: readonly (typeof a)[]) => {
      const stack = (side: 0 | 1) => ({
        type: 'uint8' as const,
        dims: [frames.length, 1, 36, 40],
        data: eight(frames.flatMap((frame) => frame[side])),
      })
      const feeds = { ref: stack(0), dist: stack(1) }
      return [...numbers(await sessions.run('vmaf_features_8bit_batched', feeds), 'features')]
    }
    const together = await run([a, b])
    const apart = [...(await run([a])), ...(await run([b]))]
    for (const [i, value] of apart.entries()) {
      assert.ok(Math.abs(value - (together[i] ?? 0)) < 1e-5, `value ${i}`)
    }
  })
})

describe('models and devices', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-models-'))
    await mkdir(join(folder, 'vmaf'))
    await copyFile(join(SHIPPED_MODELS, 'manifest.json'), join(folder, 'manifest.json'))
    const model = await readFile(join(SHIPPED_MODELS, 'vmaf', 'vmaf_score.onnx'))
    model[model.length - 200] = (model.at(-200) ?? 0) ^ 1
    await writeFile(join(folder, 'vmaf', 'vmaf_score.onnx'), model)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const rows = () => ({
    features: { type: 'float64' as const, dims: [1, 6], data: new Float64Array(6).buffer },
  })

  test('an altered model is refused, and a missing one', async () => {
    await using sessions = await SessionManager.create({ device: 'cpu', modelsFolder: folder })
    await assert.rejects(sessions.run('vmaf_score', rows()), code('METRICS_MODEL_ALTERED'))
    await assert.rejects(sessions.run('vmaf_motion_8bit', rows()), code('METRICS_MODEL_MISSING'))
    await assert.rejects(sessions.run('no_such_model', rows()), code('METRICS_MODEL_MISSING'))
  })

  test('a folder without a manifest is refused', async () => {
    const opening = SessionManager.create({ device: 'cpu', modelsFolder: join(folder, 'vmaf') })
    await assert.rejects(opening, code('METRICS_MODEL_MISSING'))
  })

  test('a GPU asked for by name is an error where there is none, never the CPU', async () => {
    await assert.rejects(
      SessionManager.create({ device: 'cuda:77' }),
      code('METRICS_DEVICE_UNAVAILABLE'),
    )
  })

  test('auto takes what there is', async () => {
    await using sessions = await SessionManager.create({ device: 'auto', lanes: 1 })
    const result = await sessions.run('vmaf_score', rows())
    assert.equal(result.device, sessions.devices[0])
    assert.equal(numbers(result, 'vmaf').length, 1)
  })

  test('a model that fails on its input says which and where', async () => {
    await using sessions = await SessionManager.create({ device: 'cpu', lanes: 1 })
    const wrong = {
      features: { type: 'float64' as const, dims: [1, 5], data: new ArrayBuffer(40) },
    }
    await assert.rejects(sessions.run('vmaf_score', wrong), code('METRICS_RUN_FAILED'))
  })

  test('a closed manager says so', async () => {
    const sessions = await SessionManager.create({ device: 'cpu', lanes: 1 })
    await sessions.close()
    await assert.rejects(sessions.run('vmaf_score', rows()), code('METRICS_CLOSED'))
  })
})

describe('self-check', () => {
  test('passes scores that agree and refuses those that do not', () => {
    const passed = compareScores([90, 80.001], [90.002, 80], 'cuda:0')
    assert.ok(passed.maxDifference < 0.0021)
    for (const wrong of [[90.02, 80], [90], [90, Number.NaN]]) {
      assert.throws(
        () => compareScores([90, 80], wrong, 'cuda:0'),
        code('METRICS_SELF_CHECK_FAILED'),
        `${wrong}`,
      )
    }
  })

  test('asks for a GPU by name, so its absence is an error', async () => {
    await assert.rejects(selfCheckGpu({ device: 'cuda:77' }), code('METRICS_DEVICE_UNAVAILABLE'))
  })

  test('whole-frame and strip graphs agree about its clip', async () => {
    await using sessions = await SessionManager.create({ device: 'cpu', lanes: 1 })
    const clip = builtInClip()
    const strips = await scoreClip(sessions, clip, '')
    const whole = await scoreClip(sessions, clip, '_batched')
    const { maxDifference, scores } = compareScores(strips.scores, whole.scores, whole.device)
    assert.ok(maxDifference < 0.01, `${maxDifference}`)
    assert.ok(
      scores.cpu.every((score) => score > 20 && score < 95),
      `${scores.cpu}`,
    )
  })
})

describe('a GPU that fails while it runs', () => {
  /** A machine with one GPU: the CPU's arithmetic, that breaks at its third run. */
  class BreakingGpu extends WorkerLane {
    #runs = 0
    override readonly device: string

    constructor(device: string, store: ModelStore) {
      super('cpu', 1, store)
      this.device = device
    }

    override run(model: string, feeds: Tensors) {
      this.#runs += 1
      if (this.#runs < 3) return super.run(model, feeds)
      return Promise.reject(new LaneFailure('CUDA failure 700', feeds))
    }
  }
  const machine: Machine = {
    gpus: async () => [0],
    hasCudaProvider: async () => true,
    openLane: (device, store) =>
      device === 'cpu' ? new WorkerLane(device, 1, store) : new BreakingGpu(device, store),
  }
  const rows = () => ({
    features: { type: 'float64' as const, dims: [1, 6], data: new Float64Array(6).buffer },
  })

  test('is not used again, and with auto its work goes to the CPU', async () => {
    await using sessions = await SessionManager.create({ device: 'auto', lanes: 1, machine })
    assert.deepEqual(sessions.devices, ['cuda:0'])
    const runs = await Promise.all([1, 2, 3, 4].map(() => sessions.run('vmaf_score', rows())))
    assert.deepEqual(
      runs.map((run) => run.device),
      ['cuda:0', 'cuda:0', 'cpu', 'cpu'],
    )
    assert.deepEqual(sessions.devices, ['cpu'])
    assert.equal(sessions.lost.get('cuda:0'), 'CUDA failure 700')
    const scores = runs.map((run) => numbers(run, 'vmaf')[0])
    assert.equal(new Set(scores).size, 1, 'the same score on both')
  })

  test('is an error when it was asked for by name, now and later', async () => {
    await using sessions = await SessionManager.create({ device: 'cuda:0', machine })
    const runs = await Promise.allSettled(
      [1, 2, 3, 4].map(() => sessions.run('vmaf_score', rows())),
    )
    assert.deepEqual(
      runs.map((run) => run.status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
    )
    await assert.rejects(sessions.run('vmaf_score', rows()), code('METRICS_DEVICE_LOST'))
  })
})
