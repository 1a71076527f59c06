// Our dendrite against our axon over a real socket, once per protocol: what one side writes the
// other reads.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { type Axon, createAxon, refuse, serve } from 'subreel/axon'
import { createDendrite, type Dendrite, type Target, type WireProtocol } from 'subreel/dendrite'
import {
  AudioTask,
  Dummy,
  defineSynapse,
  LengthCheck,
  Ping,
  PyFloat,
  SYNAPSES,
  TaskWarrant,
  VideoTask,
  VideoUpscaling,
} from 'subreel/protocol'
import { z } from 'zod'
import { KEYS, PeerMap } from '../support/axon.js'
import { HashedTask } from '../support/wire-vectors.js'

const Words = defineSynapse({
  name: 'Words',
  request: z.object({ count: z.int(), breakAt: z.int().optional() }),
  response: z.object({}),
  streaming: true,
})

const Wait = defineSynapse({ name: 'Wait', request: z.object({}), response: z.object({}) })

for (const protocol of ['legacy', 'btauth1'] satisfies WireProtocol[]) {
  describe(`axon and dendrite over ${protocol}`, () => {
    let axon: Axon
    let dendrite: Dendrite
    let target: Target
    const waiting = new EventTarget()
    const inFlight = new Set<AbortSignal>()

    before(async () => {
      axon = createAxon({
        wallet: KEYS.bob,
        peers: new PeerMap().add(KEYS.alice),
        rateLimit: { perSecond: 1000, burst: 1000 },
        synapses: [
          serve({
            definition: TaskWarrant,
            handler: (_request) => ({ warrant_tasks: [1, 2, 3] }),
          }),
          serve({ definition: LengthCheck, handler: (_request) => ({ max_content_length: 20 }) }),
          serve({
            definition: VideoUpscaling,
            handler: ({ miner_payload: payload }) => {
              if (payload.task_type === 'BUSY') throw refuse(429, 'queue full')
              if (payload.task_type === 'BROKEN') throw new Error('secret path /root')
              const urls = payload.reference_video_urls.map((url) => `${url}.out`)
              return { miner_response: { optimized_video_urls: urls } }
            },
          }),
          serve({
            definition: HashedTask,
            handler: (request) => ({ result: `${request.big}:${request.options['f']}` }),
          }),
          serve({
            definition: VideoTask,
            handler: ({ workflow_params: workflow }) => ({
              error: Object.keys(workflow).join(),
            }),
          }),
          serve({
            definition: AudioTask,
            handler: ({ input_data }) => ({ output_data: input_data }),
          }),
          serve({
            definition: Dummy,
            handler: ({ dummy_input: input }, { caller }) => {
              assert.equal(caller.hotkey, KEYS.alice.address)
              return { dummy_output: input * 2 }
            },
          }),
          serve({
            definition: Words,
            handler: async function* ({ count, breakAt }) {
              for (let i = 0; i < count; i += 1) {
                if (i === breakAt) {
                  await once(waiting, 'break')
                  throw new Error('stop')
                }
                yield `w${i} `
              }
            },
          }),
          serve({
            definition: Wait,
            handler: async (_request, { signal }) => {
              inFlight.add(signal)
              waiting.dispatchEvent(new Event('arrived'))
              await once(signal, 'abort')
              inFlight.delete(signal)
              waiting.dispatchEvent(new Event('left'))
              return {}
            },
          }),
        ],
      })
      const { port } = await axon.listen({ host: '127.0.0.1', port: 0 })
      target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port }
      dendrite = createDendrite({ wallet: KEYS.alice, protocol, allowPrivate: true })
    })

    after(async () => {
      await dendrite.close()
      await axon.close()
    })

    it('pings', async () => {
      const outcome = await dendrite.call(target, Ping, {})
      assert.ok(outcome.ok)
      assert.equal(outcome.protocol, protocol)
      assert.ok(outcome.processTimeMs > 0)
    })

    it('carries several kinds of work, and one for those who know no more', async () => {
      const outcome = await dendrite.call(target, TaskWarrant, {})
      assert.deepEqual(outcome.ok && outcome.response, {
        warrant_task: 1,
        warrant_tasks: [1, 2, 3],
      })
    })

    it('carries lists of videos', async () => {
      const outcome = await dendrite.call(target, VideoUpscaling, {
        miner_payload: { reference_video_urls: ['a', 'b'] },
      })
      assert.deepEqual(outcome.ok && outcome.response.miner_response, {
        optimized_video_urls: ['a.out', 'b.out'],
        optimized_video_url: 'a.out',
      })
    })

    it('carries hashed fields with ints and floats that JSON alone would lose', async () => {
      const outcome = await dendrite.call(target, HashedTask, {
        prompt: "it's \u200b 🦊",
        steps: 2n ** 70n,
        guidance: 5,
        options: { f: new PyFloat(1), '9': 1, a: null },
        seeds: [-(2n ** 64n)],
        big: 2n ** 200n,
      })
      assert.equal(outcome.ok && outcome.response.result, `${2n ** 200n}:1`)
    })

    it('carries a body of some size', async () => {
      const data = 'QUJD'.repeat(150_000)
      const outcome = await dendrite.call(target, AudioTask, { input_data: data })
      assert.equal(outcome.ok && outcome.response.output_data, data)
    })

    it('carries hostile keys as data', async () => {
      const workflow = JSON.parse('{"__proto__":{"x":1},"constructor":2}') as Record<
        string,
        unknown
      >
      const outcome = await dendrite.call(target, VideoTask, { workflow_params: workflow })
      assert.ok(outcome.ok)
      assert.equal(({} as Record<string, unknown>)['x'], undefined)
    })

    it('tells a refusal of the handler, and hides what broke', async () => {
      const call = (task_type: string) =>
        dendrite.call(target, VideoUpscaling, {
          miner_payload: { reference_video_url: 'u', task_type },
        })
      const busy = await call('BUSY')
      assert.ok(!busy.ok)
      assert.deepEqual(
        [busy.kind, busy.statusCode, busy.statusMessage],
        ['refused', 429, 'queue full'],
      )
      const broken = await call('BROKEN')
      assert.ok(!broken.ok)
      assert.equal(broken.statusCode, 500)
      assert.ok(!broken.statusMessage?.includes('secret'))
    })

    it('refuses strangers, unknown synapses and requests bound to another', async () => {
      const options = { protocol, allowPrivate: true }
      await using stranger = createDendrite({ wallet: KEYS.ferdie, ...options })
      const status = async (outcome: Promise<{ statusCode: number | undefined }>) =>
        (await outcome).statusCode
      assert.equal(await status(stranger.call(target, LengthCheck, {})), 403)
      const NoSuch = defineSynapse({
        name: 'NoSuch',
        request: z.object({}),
        response: z.object({}),
      })
      assert.equal(await status(dendrite.call(target, NoSuch, {})), 404)
      const other = { ...target, hotkey: KEYS.charlie.address }
      assert.equal(await status(dendrite.call(other, LengthCheck, {})), 401)
    })

    it('answers a fan-out of 60, 12 at once', async () => {
      const targets = Array.from({ length: 60 }, () => target)
      const payload = { dummy_input: 21 }
      const outcomes = await dendrite.forward(targets, Dummy, payload, { concurrency: 12 })
      assert.deepEqual(
        new Set(outcomes.map((outcome) => outcome.ok && outcome.response.dummy_output)),
        new Set([42]),
      )
    })

    it('streams chunks, and a stream that breaks throws', async () => {
      const whole = await dendrite.stream(target, Words, { count: 3 })
      assert.ok(whole.ok)
      let text = ''
      for await (const chunk of whole.chunks) text += Buffer.from(chunk).toString('utf8')
      assert.equal(text, 'w0 w1 w2 ')
      const broken = await dendrite.stream(target, Words, { count: 3, breakAt: 1 })
      assert.ok(broken.ok)
      await assert.rejects(async () => {
        for await (const chunk of broken.chunks) {
          assert.ok(chunk.length > 0)
          waiting.dispatchEvent(new Event('break'))
        }
      })
    })

    it('bounds a stream', async () => {
      const options = { maxReplyBytes: 100 }
      const outcome = await dendrite.stream(target, Words, { count: 1000 }, options)
      assert.ok(outcome.ok)
      await assert.rejects(async () => {
        for await (const chunk of outcome.chunks) assert.ok(chunk.length > 0)
      }, /larger than 100 bytes/)
    })

    it('tells the handler when the caller gives up', async () => {
      const controller = new AbortController()
      const arrived = once(waiting, 'arrived')
      const left = once(waiting, 'left')
      const call = dendrite.call(target, Wait, {}, { signal: controller.signal })
      await arrived
      controller.abort(new Error('no longer needed'))
      await assert.rejects(call, /no longer needed/)
      await left
      assert.equal(inFlight.size, 0)
    })
  })
}

describe('every synapse of the package', () => {
  it('can be answered with its defaults', async () => {
    const axon = createAxon({
      wallet: KEYS.bob,
      peers: new PeerMap().add(KEYS.alice),
      synapses: SYNAPSES.filter(({ name }) => name !== 'Synapse').map((definition) =>
        serve({ definition, handler: (_request) => ({}) }),
      ),
    })
    const { port } = await axon.listen({ host: '127.0.0.1', port: 0 })
    const target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port }
    await using dendrite = createDendrite({ wallet: KEYS.alice, allowPrivate: true })
    const payloads: Readonly<Record<string, Record<string, unknown>>> = {
      AudioTask: { input_data: '' },
    }
    for (const definition of SYNAPSES) {
      const video = { job_id: 'j', miner_payload: { reference_video_url: 'u' } }
      const payload = { ...video, ...payloads[definition.name] }
      const outcome = await dendrite.call(target, definition, payload)
      assert.ok(outcome.ok, `${definition.name}: ${outcome.statusMessage}`)
    }
    await axon.close()
  })
})
