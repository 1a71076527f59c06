import { must } from '../../lib/errors.js'
import type { MediaTools } from '../../media/index.js'
import { probeVideo } from '../../media/index.js'
import type { VmafOptions, VmafResult, VmafScorer } from '../types.js'
import { DetailMeter } from './detail.js'
import { MetricsError } from './errors.js'
import { KeptMeter, Yardstick } from './kept.js'
import type { TensorData } from './lane-protocol.js'
import { depthOf, isHalved, type LumaFormat, LumaReader, referenceFormat } from './luma.js'
import { motionFeature, poolSeries } from './pool.js'
import { numbers, SessionManager, type SessionOptions } from './session.js'

export interface VmafScorerOptions extends SessionOptions, MediaTools {}

/** Working memory of the features graph per pixel, in bytes: some forty float planes. */
const GRAPH_BYTES_PER_PIXEL = 160
/** Values per frame in the features graph's output: two models × (adm2, vif_scale0..3). */
const FEATURES = 5

/**
 * VMAF v0.6.1 and v0.6.1-NEG of files, on ONNX Runtime. Opens the devices once; hold it with `close`.
 *
 *     const scorer = await createVmafScorer({ device: 'auto' })
 *     const { vmaf, vmafNeg } = await scorer.score('reference.mp4', 'result.mp4')
 */
export async function createVmafScorer(options: VmafScorerOptions = {}): Promise<VmafScorer> {
  const sessions = await SessionManager.create(options)
  const scoreMany: VmafScorer['scoreMany'] = (reference, distorted, call = {}) =>
    scoreAll(sessions, reference, distorted, options, call)
  return {
    scoreMany,
    score: async (reference, distorted, call) => {
      const [result] = await scoreMany(reference, [distorted], call)
      if (result === undefined || 'error' in result) throw result?.error
      return result
    },
    close: () => sessions.close(),
  }
}

/** One result of a reference while it is read. */
interface Contender {
  readonly file: string
  reader: LumaReader | undefined
  error: unknown
  /** adm2 and vif of v0.6.1, then of NEG, by frame. */
  readonly features: Map<number, Float32Array>
  detail: DetailMeter | undefined
  kept: KeptMeter | undefined
}

async function scoreAll(
  sessions: SessionManager,
  reference: string,
  distorted: readonly string[],
  tools: MediaTools,
  call: VmafOptions,
): Promise<readonly (VmafResult | { readonly error: unknown })[]> {
  const { signal } = call
  const media = { ...tools, signal }
  const own = await referenceFormat(reference, media)
  const contenders = await Promise.all(
    distorted.map(async (file) => {
      const contender: Contender = {
        file,
        reader: undefined,
        error: undefined,
        features: new Map(),
        detail: undefined,
        kept: undefined,
      }
      try {
        const { video } = await probeVideo(file, media)
        return { contender, depth: depthOf(video), halved: isHalved(video) }
      } catch (error) {
        signal?.throwIfAborted()
        return { contender: { ...contender, error }, depth: 8 as const, halved: false }
      }
    }),
  )
  const deep = own.depth === 10 || contenders.some(({ depth }) => depth === 10)
  const format: LumaFormat = { width: own.width, height: own.height, depth: deep ? 10 : 8 }
  const all = contenders.map(({ contender }) => contender)
  const every = Math.max(1, Math.floor(call.every ?? 1))
  const yardstick = call.kept ? new Yardstick(own.video.frames / every) : undefined
  const chroma = yardstick !== undefined && isHalved(own.video)
  try {
    await using source = await LumaReader.open(reference, own.depth, format, { ...media, chroma })
    for (const { contender, depth, halved } of contenders) {
      if (contender.error !== undefined) continue
      contender.reader = await LumaReader.open(contender.file, depth, format, {
        ...media,
        chroma: chroma && halved,
      })
      if (yardstick !== undefined) contender.kept = new KeptMeter(yardstick)
      if (call.detail !== undefined) contender.detail = new DetailMeter(format, call.detail)
    }
    const run = new VmafRun(sessions, format, all, { ...call, every }, yardstick)
    const sad = await run.readAll(source)
    signal?.throwIfAborted()
    return await Promise.all(
      all.map(async (contender) => {
        try {
          return await run.finish(contender, source.frames, sad)
        } catch (error) {
          return { error }
        }
      }),
    )
  } finally {
    await Promise.all(all.map((contender) => contender.reader?.[Symbol.asyncDispose]()))
  }
}

/** Reads a reference and its contenders side by side and keeps the lanes busy. */
class VmafRun {
  readonly #sessions: SessionManager
  readonly #format: LumaFormat
  readonly #contenders: readonly Contender[]
  readonly #call: VmafOptions
  readonly #yardstick: Yardstick | undefined
  readonly #every: number
  readonly #batch: number
  readonly #frameBytes: number
  readonly #models: { readonly features: string; readonly motion: string }
  /** Memory of finished batches, for the next ones. */
  readonly #free: ArrayBuffer[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #sad = new Map<number, number>()
  readonly #devices = new Set<string>()
  #failure: unknown
  #done = 0

  constructor(
    sessions: SessionManager,
    format: LumaFormat,
    contenders: readonly Contender[],
    call: VmafOptions & { readonly every: number },
    yardstick: Yardstick | undefined,
  ) {
    this.#sessions = sessions
    this.#format = format
    this.#contenders = contenders
    this.#call = call
    this.#yardstick = yardstick
    this.#every = call.every
    const pixels = format.width * format.height
    this.#frameBytes = pixels * (format.depth === 8 ? 1 : 2)
    this.#batch = sessions.batchFor(pixels * GRAPH_BYTES_PER_PIXEL)
    // The CPU takes a frame in strips that fit its cache; a GPU takes whole frames, many at once.
    const suffix = `${format.depth}bit${sessions.devices[0] === 'cpu' ? '' : '_batched'}`
    this.#models = { features: `vmaf_features_${suffix}`, motion: `vmaf_motion_${suffix}` }
  }

  /** Sends every frame that counts through the graphs; gives the motion by frame. */
  async readAll(source: LumaReader): Promise<ReadonlyMap<number, number>> {
    const pairs = new Batch(this.#batch, this.#frameBytes, () => this.#memory())
    const scored = this.#contenders.map(
      () => new Batch(this.#batch, this.#frameBytes, () => this.#memory()),
    )
    const current = new Uint8Array(this.#frameBytes)
    const previous = new Uint8Array(this.#frameBytes)
    for (let frame = 0; await source.readInto(current); frame += 1) {
      this.#call.signal?.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      const counts = frame % this.#every === 0
      if (counts) this.#yardstick?.next(() => source.picture())
      await Promise.all(
        this.#contenders.map((contender, i) =>
          this.#takeFrame(contender, must(scored[i], 'batch'), frame, counts, current),
        ),
      )
      // Motion of a scored frame needs its own difference and the next frame's.
      if (frame > 0 && (counts || (frame - 1) % this.#every === 0)) {
        pairs.push(frame, previous, current)
      }
      for (const [i, batch] of scored.entries()) {
        if (batch.full) this.#submitFeatures(must(this.#contenders[i], 'contender'), batch)
      }
      if (pairs.full) this.#submitMotion(pairs)
      previous.set(current)
      await this.#roomForMore()
    }
    for (const [i, batch] of scored.entries()) {
      this.#submitFeatures(must(this.#contenders[i], 'contender'), batch)
    }
    this.#submitMotion(pairs)
    while (this.#running.size > 0) await Promise.all(this.#running)
    if (this.#failure !== undefined) throw this.#failure
    await Promise.all(this.#contenders.map((contender) => this.#countRest(contender)))
    return this.#sad
  }

  async #takeFrame(
    contender: Contender,
    batch: Batch,
    frame: number,
    counts: boolean,
    reference: Uint8Array,
  ): Promise<void> {
    const { reader } = contender
    if (reader === undefined || contender.error !== undefined || reader.frames < frame) return
    try {
      if (!counts) await reader.skip()
      else {
        await batch.read(frame, reference, async (target) => {
          const got = await reader.readInto(target)
          if (got) {
            contender.detail?.add(reference, target)
            contender.kept?.add(() => reader.picture())
          }
          return got
        })
      }
    } catch (error) {
      this.#call.signal?.throwIfAborted()
      contender.error = error
    }
  }

  /** A longer clip is told from an equal one by two more frames; no need to decode the rest. */
  async #countRest(contender: Contender): Promise<void> {
    try {
      for (let i = 0; i < 2 && (await contender.reader?.skip()); i += 1);
    } catch (error) {
      contender.error ??= error
    }
  }

  #submitFeatures(contender: Contender, batch: Batch): void {
    const taken = batch.take(this.#format, 'ref', 'dist')
    if (taken === undefined || contender.error !== undefined) return
    this.#submit(this.#models.features, taken.feeds, 'features', (values) => {
      for (const [i, frame] of taken.frames.entries()) {
        contender.features.set(frame, values.slice(i * 2 * FEATURES, (i + 1) * 2 * FEATURES))
      }
      this.#done += taken.frames.length
      this.#call.onFrame?.(this.#done)
    })
  }

  #submitMotion(batch: Batch): void {
    const taken = batch.take(this.#format, 'prev', 'ref')
    if (taken === undefined) return
    this.#submit(this.#models.motion, taken.feeds, 'sad', (values) => {
      for (const [i, frame] of taken.frames.entries()) this.#sad.set(frame, values[i] ?? Number.NaN)
    })
  }

  #submit(
    model: string,
    feeds: Readonly<Record<string, TensorData>>,
    output: string,
    use: (values: Float32Array) => void,
  ): void {
    const work = this.#sessions
      .run(model, feeds)
      .then((result) => {
        for (const tensor of Object.values(result.feeds)) this.#free.push(tensor.data)
        this.#devices.add(result.device)
        use(numbers(result, output) as Float32Array)
      })
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#running.delete(work))
    this.#running.add(work)
  }

  /** Two runs waiting per lane keep it busy; more would only hold memory. */
  async #roomForMore(): Promise<void> {
    while (this.#running.size > this.#sessions.width * 2) await Promise.race(this.#running)
  }

  #memory(): ArrayBuffer {
    return this.#free.pop() ?? new ArrayBuffer(this.#frameBytes * this.#batch)
  }

  /** Pools one contender. Throws its own error, or the reason why it has no score. */
  async finish(
    contender: Contender,
    referenceFrames: number,
    sad: ReadonlyMap<number, number>,
  ): Promise<VmafResult> {
    if (contender.error !== undefined) throw contender.error
    const distortedFrames = contender.reader?.frames ?? 0
    const path = contender.file
    if (referenceFrames === 0 || distortedFrames === 0) {
      throw new MetricsError(
        { code: 'METRICS_NO_FRAMES', path },
        'a clip has no frame that decodes',
      )
    }
    if (Math.abs(referenceFrames - distortedFrames) > 1) {
      throw new MetricsError(
        {
          code: 'METRICS_FRAME_COUNT_DIFFERS',
          reference: referenceFrames,
          distorted: distortedFrames,
        },
        `the reference has ${referenceFrames} frames, the result ${distortedFrames}${
          distortedFrames > referenceFrames ? ' or more' : ''
        }: frames cannot be paired`,
      )
    }
    const frames = [...contender.features.keys()].sort((a, b) => a - b)
    const rows = new Float64Array(2 * frames.length * 6)
    for (const [i, frame] of frames.entries()) {
      const values = must(contender.features.get(frame), 'features of a frame')
      const motion = motionFeature(sad, frame)
      for (const model of [0, 1]) {
        const [adm = Number.NaN, ...vif] = values.subarray(model * FEATURES, (model + 1) * FEATURES)
        rows.set([adm, motion, ...vif], (model * frames.length + i) * 6)
      }
    }
    const scored = await this.#sessions.run('vmaf_score', {
      features: { type: 'float64', dims: [2 * frames.length, 6], data: rows.buffer },
    })
    const scores = [...numbers(scored, 'vmaf')]
    const models = [this.#models.features, this.#models.motion, 'vmaf_score']
    return {
      vmaf: poolSeries('vmaf', scores.slice(0, frames.length)),
      vmafNeg: poolSeries('vmafNeg', scores.slice(frames.length)),
      frames: frames.length,
      width: this.#format.width,
      height: this.#format.height,
      device: [...this.#devices].join('+') || scored.device,
      models: models.map((name) => ({ name, sha256: this.#sessions.entry(name).sha256 })),
      ...(contender.detail === undefined ? {} : { detail: contender.detail.likeness }),
      ...(contender.kept === undefined ? {} : { kept: contender.kept.kept }),
    }
  }
}

/** Pairs of frames side by side in memory, as the graphs take them. */
class Batch {
  readonly #capacity: number
  readonly #frameBytes: number
  readonly #memory: () => ArrayBuffer
  #first: ArrayBuffer | undefined
  #second: ArrayBuffer | undefined
  #frames: number[] = []

  constructor(capacity: number, frameBytes: number, memory: () => ArrayBuffer) {
    this.#capacity = capacity
    this.#frameBytes = frameBytes
    this.#memory = memory
  }

  get full(): boolean {
    return this.#frames.length === this.#capacity
  }

  push(frame: number, first: Uint8Array, second: Uint8Array): void {
    const [a, b] = this.#slots()
    a.set(first)
    b.set(second)
    this.#frames.push(frame)
  }

  /** Lets `fill` write the second picture straight into the batch; keeps the pair when it did. */
  async read(
    frame: number,
    first: Uint8Array,
    fill: (target: Uint8Array) => Promise<boolean>,
  ): Promise<void> {
    const [a, b] = this.#slots()
    if (!(await fill(b))) return
    a.set(first)
    this.#frames.push(frame)
  }

  #slots(): [Uint8Array, Uint8Array] {
    this.#first ??= this.#memory()
    this.#second ??= this.#memory()
    const offset = this.#frames.length * this.#frameBytes
    return [
      new Uint8Array(this.#first, offset, this.#frameBytes),
      new Uint8Array(this.#second, offset, this.#frameBytes),
    ]
  }

  /** The pairs collected, as feeds under two names; undefined when there are none. */
  take(
    format: LumaFormat,
    firstName: string,
    secondName: string,
  ):
    | { readonly frames: readonly number[]; readonly feeds: Readonly<Record<string, TensorData>> }
    | undefined {
    const frames = this.#frames
    if (frames.length === 0) return undefined
    const tensor = (data: ArrayBuffer): TensorData => ({
      type: format.depth === 8 ? 'uint8' : 'uint16',
      dims: [frames.length, 1, format.height, format.width],
      data,
    })
    const feeds = {
      [firstName]: tensor(must(this.#first, 'first frames')),
      [secondName]: tensor(must(this.#second, 'second frames')),
    }
    this.#first = undefined
    this.#second = undefined
    this.#frames = []
    return { frames, feeds }
  }
}
