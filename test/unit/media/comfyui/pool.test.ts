import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WorkflowFirewall } from '#src/media/comfyui/index.js'
import { cardOf } from '#src/media/comfyui/member.js'
import { type Candidate, chooseServer, planStarts } from '#src/media/comfyui/plan.js'
import { smaller, warmUpOf } from '#src/media/comfyui/shrink.js'
import { expectedMsPerFrame, ServerSpeeds } from '#src/media/comfyui/speeds.js'
import { MODELS, noModel, textToVideo, withInputs } from './workflows.js'

interface Server extends Candidate {
  readonly jobMs: number
}

const server = (name: string, jobMs: number, more: Partial<Server> = {}): Server => ({
  name,
  jobMs,
  freeSlots: 1,
  busyMs: 0,
  group: name,
  working: false,
  vramFree: 0,
  ...more,
})
const cost = (of: Server) => of.jobMs
const busy = { freeSlots: 0, working: true }

describe('the choice of a ComfyUI server', () => {
  it('takes the one that finishes first, not the one that is free first', () => {
    const slow = server('slow', 100)
    const fast = server('fast', 10, { ...busy, busyMs: 30 })
    assert.equal(chooseServer([slow, fast], 'job', cost), fast)
    const loaded = server('loaded', 10, { ...busy, busyMs: 200 })
    assert.equal(chooseServer([slow, loaded], 'job', cost), slow)
  })

  it('takes the one with more free memory where times are equal, and none that cannot run the job', () => {
    const [a, b] = [server('a', 100, { vramFree: 8 }), server('b', 103, { vramFree: 24 })]
    assert.equal(chooseServer([a, b], 'job', cost), b)
    assert.equal(
      chooseServer([a, b], 'job', (one) => (one === b ? undefined : one.jobMs)),
      a,
    )
    assert.equal(
      chooseServer([a, b], 'job', () => undefined),
      undefined,
    )
  })

  it('counts that servers of one card slow each other down', () => {
    const neighbour = server('one-a', 100, { ...busy, group: 'one', busyMs: 500 })
    const shared = server('one-b', 100, { group: 'one' })
    const alone = server('two', 150, { group: 'two' })
    assert.equal(chooseServer([neighbour, shared, alone], 'job', cost), alone)
  })

  it('lets a job wait for a fast server, and gives the slow one its share of a long queue', () => {
    const slow = server('slow', 110)
    const fast = server('fast', 20, { ...busy, busyMs: 20 })
    const few = planStarts([slow, fast], ['a', 'b'], cost)
    assert.deepEqual(few, [])
    const many = planStarts([slow, fast], ['a', 'b', 'c', 'd', 'e', 'f'], cost)
    assert.deepEqual(many, [{ job: 'e', server: slow }])
  })

  it('starts no more than there are slots, first come first', () => {
    const [a, b] = [server('a', 10, { freeSlots: 2 }), server('b', 10)]
    const starts = planStarts([a, b], [1, 2, 3, 4, 5, 6], cost)
    assert.equal(starts.length, 3)
    assert.deepEqual(
      starts.map(({ job }) => job),
      [1, 2, 3],
    )
  })

  it('divides a long queue as the servers are fast', () => {
    const done = new Map<string, number>()
    const clocks = new Map([
      ['fast', 0],
      ['slow', 0],
    ])
    const speeds: Readonly<Record<string, number>> = { fast: 10, slow: 40 }
    const queue = Array.from({ length: 100 }, (_, i) => i)
    let now = 0
    while (queue.length > 0) {
      const servers = Object.entries(speeds).map(([name, jobMs]) => {
        const busyMs = Math.max(0, (clocks.get(name) ?? 0) - now)
        return server(name, jobMs, { busyMs, freeSlots: busyMs > 0 ? 0 : 1 })
      })
      for (const { job, server: chosen } of planStarts(servers, queue, cost)) {
        queue.splice(queue.indexOf(job), 1)
        clocks.set(chosen.name, now + chosen.jobMs)
        done.set(chosen.name, (done.get(chosen.name) ?? 0) + 1)
      }
      now = Math.min(...[...clocks.values()].filter((end) => end > now))
    }
    assert.deepEqual([done.get('fast'), done.get('slow')], [80, 20])
  })
})

describe('what is learnt of a server', () => {
  it('keeps seconds per frame by kind, and time to load apart from them', () => {
    const speeds = new ServerSpeeds()
    speeds.learn({ kind: 'wan', frames: 10, ms: 900, cold: true })
    assert.equal(speeds.of('wan'), 90)
    speeds.learn({ kind: 'wan', frames: 10, ms: 500, cold: false })
    assert.equal(speeds.of('wan'), 50, 'the first warm run replaces the cold one')
    speeds.learn({ kind: 'wan', frames: 20, ms: 1800, cold: true })
    assert.equal(speeds.of('wan'), 50)
    assert.ok(speeds.loadMs > 0 && speeds.loadMs <= 800, `${speeds.loadMs}`)
    assert.equal(speeds.of('other'), undefined)
  })

  it('names cards alike wherever they are plugged in', () => {
    assert.equal(
      cardOf('cuda:1 NVIDIA GeForce RTX 4090 : cudaMallocAsync'),
      cardOf('cuda:0 NVIDIA GeForce RTX 4090 : native'),
    )
    assert.equal(cardOf('cuda:0 NVIDIA L4 : native'), 'NVIDIA L4')
    assert.equal(cardOf('cpu'), 'cpu')
  })

  it('expects of a new server what the others need', () => {
    const [own, a, b] = [new ServerSpeeds(), new ServerSpeeds(), new ServerSpeeds()]
    a.learn({ kind: 'wan', frames: 1, ms: 100, cold: false })
    b.learn({ kind: 'wan', frames: 1, ms: 300, cold: false })
    assert.equal(expectedMsPerFrame('wan', own, [a, b]), 200)
    own.learn({ kind: 'wan', frames: 1, ms: 50, cold: false })
    assert.equal(expectedMsPerFrame('wan', own, [a, b]), 50)
  })
})

describe('what a workflow needs', () => {
  const firewall = new WorkflowFirewall({ models: MODELS })

  it('is read from the workflow: frames, size and models', () => {
    const needs = firewall.needsOf(firewall.check(textToVideo(832, 480, 33)))
    assert.equal(needs.frames, 33)
    assert.equal(needs.framePixels, 832 * 480)
    assert.deepEqual(needs.models, [
      'umt5_xxl_fp8_e4m3fn_scaled.safetensors',
      'wan2.1_t2v_1.3B_bf16.safetensors',
      'wan_2.1_vae.safetensors',
    ])
    assert.deepEqual(firewall.needsOf(firewall.check(noModel())).models, [])
  })

  it('becomes less step by step: tiles first, then half the batch, then nothing', () => {
    const workflow = withInputs(textToVideo(), '40', { batch_size: 2 })
    const tiles = smaller(workflow)
    assert.equal(tiles?.reduction, 'tiles')
    assert.equal(tiles?.workflow['8']?.class_type, 'VAEDecodeTiled')
    firewall.check(tiles?.workflow)
    const batch = smaller(tiles?.workflow ?? {})
    assert.equal(batch?.reduction, 'batch')
    assert.equal(batch?.workflow['40']?.inputs['batch_size'], 1)
    assert.equal(smaller(batch?.workflow ?? {}), undefined)
    assert.equal(smaller(noModel()), undefined, 'frames of a clip are no batch')
  })

  it('is next to nothing for a warm-up with the same models', () => {
    const small = firewall.check(warmUpOf(textToVideo()).workflow)
    assert.deepEqual(firewall.needsOf(small).models, firewall.needsOf(textToVideo()).models)
    assert.equal(firewall.needsOf(small).frames, 5)
    assert.equal(small['3']?.inputs['steps'], 1)
  })
})
