// Our own two ends against each other over sockets. The ends of the Python SDK are in test/interop.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { type Axon, createAxon, refuse, serve } from 'subreel/axon'
import { createDendrite, type Dendrite, type Target } from 'subreel/dendrite'
import { defineSynapse, Ping, VideoUpscaling } from 'subreel/protocol'
import { signerFromUri } from 'subreel/wallet'
import { z } from 'zod'
import { withResolvers } from '#src/lib/resources.js'
import { KEYS, PeerMap } from '../support/axon.js'

const Task = defineSynapse({
  name: 'Task',
  request: z.object({ text: z.string(), big: z.bigint(), list: z.array(z.number()).default([]) }),
  response: z.object({ answer: z.string().default(''), echoed: z.bigint().default(0n) }),
  requiredHashFields: ['text', 'big', 'list'],
})
const Words = defineSynapse({
  name: 'Words',
  request: z.object({ text: z.string() }),
  response: z.object({}),
  streaming: true,
})

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
)

const open: { close(): Promise<void> }[] = []
after(() => Promise.all(open.map((end) => end.close())))

function dendriteOf(protocol: 'legacy' | 'btauth1' | 'auto', wallet = KEYS.alice): Dendrite {
  const dendrite = createDendrite({ wallet, protocol, allowPrivate: true })
  open.push(dendrite)
  return dendrite
}

async function axonOf(options: Partial<Parameters<typeof createAxon>[0]> = {}, host = '127.0.0.1') {
  const axon: Axon = createAxon({
    wallet: KEYS.bob,
    peers: new PeerMap().add(KEYS.alice),
    synapses: [
      serve({
        definition: Task,
        handler: ({ text, big }) => ({ answer: text.toUpperCase(), echoed: big }),
      }),
      serve({
        definition: Words,
        handler: async function* ({ text }) {
          for (const word of text.split(' ')) yield word
        },
      }),
      serve({
        definition: VideoUpscaling,
        handler: () => {
          throw refuse(429, 'No GPU is free', { retryAfterMs: 5000 })
        },
      }),
    ],
    ...options,
  })
  open.push(axon)
  const { port } = await axon.listen({ host, port: 0 })
  const target: Target = { hotkey: KEYS.bob.address, ip: host, port }
  return { axon, target }
}

const payload = { text: "it's é 🦊", big: 2n ** 80n, list: [1, 1.5, 1e-7, -0] }

for (const protocol of ['legacy', 'btauth1'] as const) {
  describe(`axon and dendrite over ${protocol}`, () => {
    it('carry values of every kind, hashed and unharmed', async () => {
      const { target } = await axonOf()
      const outcome = await dendriteOf(protocol).call(target, Task, payload)
      assert.ok(outcome.ok, inspect(outcome))
      assert.deepEqual([outcome.protocol, outcome.statusCode], [protocol, 200])
      assert.deepEqual(outcome.response, { answer: "IT'S É 🦊", echoed: 2n ** 80n })
    })

    it('meet over IPv6', { skip: !hasIPv6 && 'this machine has no IPv6' }, async () => {
      const { target } = await axonOf({}, '::1')
      const outcome = await dendriteOf(protocol).call(target, Task, payload)
      assert.ok(outcome.ok, inspect(outcome))
    })

    it('ping', async () => {
      const { target } = await axonOf()
      assert.ok((await dendriteOf(protocol).call(target, Ping, {})).ok)
    })

    it('stream', async () => {
      const { target } = await axonOf()
      const outcome = await dendriteOf(protocol).stream(target, Words, { text: 'alpha beta gamma' })
      assert.ok(outcome.ok)
      let text = ''
      for await (const chunk of outcome.chunks) text += Buffer.from(chunk).toString()
      assert.equal(text, 'alphabetagamma')
    })

    it('tell the caller why it was refused', async () => {
      const { target } = await axonOf()
      const busy = await dendriteOf(protocol).call(target, VideoUpscaling, {
        miner_payload: { reference_video_url: 'https://example.com/a.mp4' },
      })
      assert.ok(!busy.ok)
      assert.deepEqual(
        [busy.kind, busy.statusCode, busy.statusMessage],
        ['refused', 429, 'No GPU is free'],
      )
      const stranger = await dendriteOf(protocol, signerFromUri('//Stranger')).call(
        target,
        Ping,
        {},
      )
      assert.ok(!stranger.ok)
      assert.deepEqual(
        [stranger.statusCode, stranger.statusMessage],
        [403, 'Forbidden. Key is blacklisted: not registered.'],
      )
    })

    it('make a hundred calls at once from one dendrite without a nonce in the way of another', async () => {
      const { target } = await axonOf({ rateLimit: { perSecond: 1000, burst: 1000 } })
      const outcomes = await dendriteOf(protocol).forward(
        Array.from({ length: 100 }, () => target),
        Task,
        payload,
      )
      assert.deepEqual(
        outcomes.map((outcome) => outcome.statusCode),
        outcomes.map(() => 200),
      )
    })

    it('tell the handler when its caller gives up', async () => {
      const entered = withResolvers<AbortSignal>()
      const { target } = await axonOf({
        synapses: [
          serve({
            definition: Task,
            handler: async (_request, { signal }) => {
              entered.resolve(signal)
              await new Promise((resolve) => signal.addEventListener('abort', resolve))
              return {}
            },
          }),
        ],
      })
      const caller = new AbortController()
      const calling = dendriteOf(protocol)
        .call(target, Task, payload, { signal: caller.signal })
        .catch((error: unknown) => error)
      const signal = await entered.promise
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
      caller.abort()
      await aborted
      await calling
    })
  })
}

describe('an automatic dendrite', () => {
  it('finds out what an axon speaks', async () => {
    const dendrite = dendriteOf('auto')
    for (const [protocols, spoken] of [
      [{ btauth: false }, 'legacy'],
      [{ legacy: false }, 'btauth1'],
    ] as const) {
      const { target } = await axonOf({ protocols })
      const outcome = await dendrite.call(target, Task, payload)
      assert.deepEqual([outcome.ok, outcome.protocol], [true, spoken])
    }
  })
})
