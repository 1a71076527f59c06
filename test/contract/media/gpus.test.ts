import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Engine, type EngineContext, gpuNeed, OnGpu } from '#src/engines/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { type Gpu, GpuPlaces, parseGpus } from '#src/media/index.js'

const clock = new SystemClock()
const never = new AbortController().signal
const gpu = (index: number, freeMb: number): Gpu => ({
  ...{ index, freeMb },
  ...{ uuid: `GPU-${'abc'[index]}`, totalMb: 8_000 },
})

function placesOn(gpus: readonly Gpu[], options: { jobsPerGpu?: number; name?: string } = {}) {
  const name = options.name ?? randomUUID()
  return new GpuPlaces({ ...options, name }, { clock, read: async () => gpus })
}

/** Whether a place is to be had at once. */
async function isFree(places: GpuPlaces, needMb: number): Promise<boolean> {
  const stop = new AbortController()
  const taking = places.take(needMb, stop.signal).then(
    async (place) => {
      await place.leave()
      return true
    },
    () => false,
  )
  await clock.sleep(200)
  stop.abort()
  return taking
}

test('reads what nvidia-smi says and leaves out a GPU that is lost', () => {
  const text = '0, GPU-1a-2b, 7912, 8192\n1, GPU-3c, [Unknown Error], [Unknown Error]\n\n'
  assert.deepEqual(parseGpus(text), [{ index: 0, uuid: 'GPU-1a-2b', freeMb: 7912, totalMb: 8192 }])
})

test('takes the GPU with the most free memory, then the next, and none twice', async () => {
  const places = placesOn([gpu(0, 3_000), gpu(1, 7_000)])
  const first = await places.take(2_000, never)
  const second = await places.take(2_000, never)
  assert.deepEqual([first.cuda, second.cuda], [1, 0])
  assert.equal(await isFree(places, 2_000), false)
  await first.leave()
  assert.equal((await places.take(2_000, never)).cuda, 1)
})

test('lets several jobs share a GPU where the settings say so', async () => {
  const places = placesOn([gpu(0, 8_000)], { jobsPerGpu: 2 })
  assert.equal(await places.count(never), 2)
  await places.take(1_000, never)
  await places.take(1_000, never)
  assert.equal(await isFree(places, 1_000), false)
})

test('waits for memory, and refuses what no GPU could ever hold', async () => {
  const gpus = [gpu(0, 500)]
  const places = placesOn(gpus)
  assert.equal(await isFree(places, 1_000), false)
  gpus[0] = gpu(0, 5_000)
  assert.equal(await isFree(places, 1_000), true)
  await assert.rejects(places.take(9_000, never), { code: 'MEDIA_GPU_MISSING' })
})

test('the place of a killed process is free again', async () => {
  const name = randomUUID()
  const script = fileURLToPath(new URL('../../support/gpu-holder.js', import.meta.url))
  const holder = fork(script, [name])
  await once(holder, 'message')
  const places = placesOn([{ ...gpu(0, 8_000), uuid: 'GPU-a' }], { name })
  assert.equal(await isFree(places, 1_000), false, 'another process holds it')
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  assert.equal(await isFree(places, 1_000), true)
})

class Recorder implements Engine<object, number | undefined> {
  readonly name = 'recorder'
  async ready(): Promise<void> {}
  async run(_input: object, { gpu: number }: EngineContext): Promise<number | undefined> {
    return number
  }
  async close(): Promise<void> {}
}

test('an engine runs on the GPU it was given, and stops taking work when that is lost', async () => {
  const gpus = [gpu(0, 8_000), gpu(1, 4_000)]
  const need = { places: placesOn(gpus), needMb: 1_000, required: false }
  const engine = new OnGpu(new Recorder(), need)
  const run = () => engine.run({ path: '', params: {} }, { workDir: '', signal: never })
  await engine.ready(never)
  assert.equal(await engine.capacity(never), 2)
  assert.equal(await run(), 0)
  gpus.length = 0
  await assert.rejects(run(), { code: 'MEDIA_GPU_MISSING' })
  await assert.rejects(engine.ready(never), { code: 'MEDIA_GPU_MISSING' })
})

test('without a GPU, auto works on the CPU and a GPU asked for by name is missed', async () => {
  const engine = new OnGpu(new Recorder(), { places: placesOn([]), needMb: 1, required: false })
  await engine.ready(never)
  assert.equal(await engine.capacity(never), undefined)
  assert.equal(
    await engine.run({ path: '', params: {} }, { workDir: '', signal: never }),
    undefined,
  )
  const strict = new OnGpu(new Recorder(), { places: placesOn([]), needMb: 1, required: true })
  await assert.rejects(strict.ready(never), { code: 'MEDIA_GPU_MISSING' })
})

test('the settings say which GPUs: none for the CPU, the named one, or the visible ones', () => {
  const settings = { 'cuda.visible_devices': ['3', 'GPU-b'], 'gpu.jobs': 1 }
  assert.equal(gpuNeed({ ...settings, device: 'cpu' }, 1), undefined)
  assert.equal(gpuNeed({ ...settings, device: 'auto' }, 1)?.required, false)
  assert.equal(gpuNeed({ ...settings, device: 'cuda:1' }, 1)?.required, true)
})

test('CUDA numbers the visible GPUs anew', async () => {
  const allowed = new Map([
    ['2', 0],
    ['GPU-b', 1],
  ])
  const read = async () => [gpu(0, 8_000), gpu(1, 7_000), gpu(2, 6_000)]
  const places = new GpuPlaces({ allowed, name: randomUUID() }, { clock, read })
  const [first, second] = [await places.take(1, never), await places.take(1, never)]
  assert.deepEqual([first.cuda, second.cuda], [1, 0])
})
