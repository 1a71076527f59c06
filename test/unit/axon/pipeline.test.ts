import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import {
  AxonError,
  type AxonOptions,
  type AxonRoute,
  type Caller,
  createAxon,
  refuse,
  serve,
} from 'subreel/axon'
import { defineSynapse, prepareRequest } from 'subreel/protocol'
import { signerFromUri, verifySignature } from 'subreel/wallet'
import { z } from 'zod'
import { createLog } from '#src/lib/log.js'
import { Registry } from '#src/lib/metrics.js'
import { withResolvers } from '#src/lib/resources.js'
import { KEYS, PeerMap } from '../../support/axon.js'
import { FakeClock } from '../../support/fake-clock.js'
import { type Signing, signBtauth, signed, signLegacy, uuidOf } from '../../support/signed.js'

const Echo = defineSynapse({
  name: 'Echo',
  request: z.object({ text: z.string(), meta: z.record(z.string(), z.unknown()).default({}) }),
  response: z.object({ answer: z.string().default('') }),
  requiredHashFields: ['text'],
})
const Count = defineSynapse({
  name: 'Count',
  request: z.object({ to: z.int().max(100) }),
  response: z.object({}),
  streaming: true,
})

const { alice, bob, charlie, dave } = KEYS
const peers = new PeerMap()
  .add(alice, { stake: 1000 })
  .add(dave, { stake: 1, validatorPermit: false })
const receiver = bob.address
const hello = prepareRequest(Echo, { text: 'hello' })
const echo = serve({ definition: Echo, handler: ({ text }) => ({ answer: text.toUpperCase() }) })
const from = (sender = alice, of: Partial<Signing> = {}): Signing => ({ sender, receiver, ...of })

function axonOf(options: Partial<AxonOptions> = {}, route: AxonRoute = echo) {
  return createAxon({ wallet: bob, peers, synapses: [route], ...options })
}

/** A verifier that counts how often it is asked. */
function countingVerifier() {
  const seen = { calls: 0 }
  return {
    seen,
    verify: (input: Parameters<typeof verifySignature>[0]) => {
      seen.calls += 1
      return verifySignature(input)
    },
  }
}

describe('an axon', () => {
  it('answers a legacy request as a Python dendrite needs it', async () => {
    const response = await axonOf().inject(signLegacy(hello, from()))
    assert.equal(response.statusCode, 200)
    const { headers } = response
    assert.equal(headers['bt_header_axon_status_code'], '200')
    assert.equal(headers['bt_header_dendrite_hotkey'], alice.address)
    const body = response.json()
    assert.deepEqual([body.text, body.answer, body.name], ['hello', 'HELLO', 'Echo'])
    assert.deepEqual([body.axon.status_code, body.dendrite.hotkey], [200, alice.address])
  })

  it('answers btauth/1 on the same URL, sr25519 and ed25519', async () => {
    const edward = signerFromUri('//Edward', { scheme: 'ed25519' })
    const axon = axonOf({ peers: new PeerMap().add(alice).add(edward) })
    for (const sender of [alice, edward]) {
      const response = await axon.inject(signBtauth(hello, from(sender)))
      assert.deepEqual(
        [response.statusCode, response.body],
        [200, '{"answer":"HELLO"}'],
        sender.scheme,
      )
    }
  })

  it('speaks only the protocols it is told to, and never two at once', async () => {
    const legacy = signLegacy(hello, from())
    const btauth = signBtauth(hello, from())
    const noLegacy = axonOf({ protocols: { legacy: false } })
    const noBtauth = axonOf({ protocols: { btauth: false } })
    const codes = [
      await noLegacy.inject(legacy),
      await noLegacy.inject(btauth),
      await noBtauth.inject(btauth),
      await noBtauth.inject(legacy),
      await axonOf().inject({ ...legacy, headers: { ...legacy.headers, ...btauth.headers } }),
    ].map((response) => response.statusCode)
    assert.deepEqual(codes, [401, 200, 401, 200, 401])
  })

  it('knows the caller from the verified headers, never from the body', async () => {
    const seen: Caller[] = []
    const route = serve({
      definition: Echo,
      handler: (_request, { caller }) => {
        seen.push(caller)
        return {}
      },
    })
    const request = signLegacy(hello, from())
    const body = JSON.parse(request.payload)
    body.dendrite.hotkey = charlie.address
    await axonOf({}, route).inject({ ...request, payload: JSON.stringify(body) })
    assert.deepEqual(seen, [
      {
        hotkey: alice.address,
        peer: peers.lookup(alice.address),
        protocol: 'legacy',
        address: '127.0.0.1',
      },
    ])
  })

  it('gives every accepted request an id of its own', async () => {
    const ids: string[] = []
    const route = serve({
      definition: Echo,
      handler: (_request, { requestId }) => {
        ids.push(requestId)
        return {}
      },
    })
    const axon = axonOf({}, route)
    await axon.inject(signLegacy(hello, from()))
    await axon.inject(signLegacy(hello, from()))
    await axon.inject(signBtauth(hello, from()))
    assert.equal(new Set(ids).size, 3)
    assert.match(ids[0] ?? '', /^[0-9a-f]{32}$/)
  })

  it('tells a refused caller how long to wait', async () => {
    const route = serve({
      definition: Echo,
      handler: () => {
        throw refuse(429, 'The GPU is busy', { retryAfterMs: 2500 })
      },
    })
    const response = await axonOf({}, route).inject(signLegacy(hello, from()))
    assert.deepEqual(
      [response.statusCode, response.headers['retry-after'], response.json()],
      [429, '3', { message: 'The GPU is busy' }],
    )
    assert.equal(response.headers['bt_header_axon_status_code'], '429')
    assert.throws(() => refuse(200, 'fine'), RangeError)
  })

  it('answers a failed handler with an id that the log has too, and with nothing else', async () => {
    const lines: string[] = []
    const log = createLog('test', { destination: { write: (line) => void lines.push(line) } })
    const route = serve({
      definition: Echo,
      handler: () => {
        throw new Error('the password is swordfish')
      },
    })
    const response = await axonOf({ log }, route).inject(signLegacy(hello, from()))
    const id = /#([0-9a-f-]{36})$/.exec(response.json().message)?.[1]
    assert.equal(response.statusCode, 500)
    assert.ok(!response.body.includes('swordfish'))
    const logged = lines.map((line) => JSON.parse(line)).find((line) => line.id === id)
    assert.deepEqual([logged?.event, logged?.synapse], ['handler.failed', 'Echo'])
  })

  it('answers a reply that does not fit its schema with a 500', async () => {
    const route: AxonRoute = { definition: Echo, run: () => ({ answer: 7 }) }
    const response = await axonOf({}, route).inject(signLegacy(hello, from()))
    assert.equal(response.statusCode, 500)
  })

  it('streams chunks as they are, with the headers of a legacy reply', async () => {
    const route = serve({
      definition: Count,
      handler: async function* ({ to }) {
        for (let i = 1; i <= to; i += 1) yield `${i} `
      },
    })
    const axon = axonOf({ synapses: [route] })
    const legacy = await axon.inject(signed(Count, { to: 3 }, from()))
    assert.deepEqual([legacy.statusCode, legacy.body], [200, '1 2 3 '])
    assert.equal(legacy.headers['content-type'], 'text/event-stream')
    assert.equal(legacy.headers['bt_header_axon_status_code'], '200')
    const btauth = await axon.inject(signBtauth(prepareRequest(Count, { to: 2 }), from()))
    assert.equal(btauth.body, '1 2 ')
  })

  it('serves a ping, routes of your own, and nothing else', async () => {
    const Ping = defineSynapse({ name: 'Synapse', request: z.object({}), response: z.object({}) })
    const axon = axonOf({ mount: (app) => app.get('/objects/:key', () => 'mine') })
    assert.equal((await axon.inject(signed(Ping, {}, from()))).statusCode, 200)
    assert.equal((await axon.inject({ method: 'GET', url: '/objects/a' })).body, 'mine')
    const status = async (method: 'GET' | 'PUT' | 'POST', url: string) =>
      (await axon.inject({ method, url })).statusCode
    assert.deepEqual(
      [
        await status('GET', '/Echo'),
        await status('PUT', '/Echo'),
        await status('POST', '/Nothing'),
        await status('GET', '/docs'),
        await status('POST', '/%zz'),
      ],
      [405, 405, 404, 404, 400],
    )
  })

  it('refuses options that cannot be', () => {
    const code = (of: Partial<AxonOptions>) => {
      try {
        axonOf(of)
        return undefined
      } catch (error) {
        return error instanceof AxonError ? error.code : error
      }
    }
    assert.equal(code({ synapses: [echo, echo] }), 'AXON_SYNAPSE_DUPLICATE')
    assert.equal(code({ concurrency: 0 }), 'AXON_OPTION_INVALID')
    assert.equal(code({ connections: { bodyBytes: 0.5 } }), 'AXON_OPTION_INVALID')
  })

  it('counts what it served and what it refused', async () => {
    const registry = new Registry()
    const axon = axonOf({ registry })
    await axon.inject(signLegacy(hello, from()))
    await axon.inject(signLegacy(hello, from(charlie)))
    await axon.inject({ method: 'POST', url: '/x'.repeat(20) })
    const text = await registry.metrics()
    assert.match(text, /subnet_axon_requests_total\{synapse="Echo",code="ok"\} 1/)
    assert.match(text, /subnet_axon_requests_total\{synapse="Echo",code="blacklisted"\} 1/)
    assert.match(text, /subnet_axon_requests_total\{synapse="other",code="synapse-unknown"\} 1/)
    assert.match(text, /subnet_axon_nonces_held 1/)
  })

  it('lets running handlers finish when it closes, and aborts the late ones', async () => {
    const entered = withResolvers<AbortSignal>()
    const route = serve({
      definition: Echo,
      handler: async (_request, { signal }) => {
        entered.resolve(signal)
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
        return {}
      },
    })
    const clock = new FakeClock(Date.now())
    const axon = axonOf({ clock }, route)
    const nonce = clock.nowNs() + 1n
    const answer = axon.inject(signLegacy(hello, from(alice, { nonce })))
    const signal = await entered.promise
    const closing = axon.close({ graceMs: 1000 })
    await clock.advance(999)
    assert.equal(signal.aborted, false)
    await clock.advance(1)
    await closing
    assert.equal(signal.aborted, true)
    assert.equal((await answer).statusCode, 408)
  })

  it('caps the time a caller may ask for', async () => {
    const times: number[] = []
    const route = serve({
      definition: Echo,
      handler: (_request, { timeoutMs }) => {
        times.push(timeoutMs)
        return {}
      },
    })
    const axon = axonOf({ maxTimeoutMs: 60_000 }, route)
    for (const timeoutS of [12.5, 3600, 0])
      await axon.inject(signLegacy(hello, from(alice, { timeoutS })))
    assert.deepEqual(times, [12_500, 60_000, 60_000])
  })
})

describe('an axon turns away', () => {
  it('who is not registered, has no permit or too little stake, with the reason and unverified', async () => {
    const verifier = countingVerifier()
    const strict = axonOf({ verifier, access: { requireValidatorPermit: true } })
    const staked = axonOf({ verifier, access: { minStake: 10 } })
    const answers = [
      await axonOf({ verifier }).inject(signLegacy(hello, from(charlie))),
      await strict.inject(signLegacy(hello, from(dave))),
      await staked.inject(signLegacy(hello, from(dave))),
      await staked.inject(signBtauth(hello, from(dave))),
    ]
    assert.deepEqual(
      answers.map((response) => [response.statusCode, response.json().message]),
      [
        [403, 'Forbidden. Key is blacklisted: not registered.'],
        [403, 'Forbidden. Key is blacklisted: no validator permit.'],
        [403, 'Forbidden. Key is blacklisted: stake below 10.'],
        [403, 'Forbidden. Key is blacklisted: stake below 10.'],
      ],
    )
    assert.equal(verifier.seen.calls, 0)
    assert.equal((await staked.inject(signLegacy(hello, from(alice)))).statusCode, 200)
  })

  it('whom a blacklist of the synapse names, in printable latin-1 and at most 200 bytes', async () => {
    const verifier = countingVerifier()
    const route = serve({
      definition: Echo,
      handler: () => ({}),
      blacklist: async ({ hotkey }) =>
        hotkey === alice.address ? `плохой\r\nX-Evil: 1 "\\ ${'x'.repeat(500)}` : undefined,
    })
    const axon = axonOf({ verifier }, route)
    const response = await axon.inject(signLegacy(hello, from()))
    assert.equal(response.statusCode, 403)
    assert.ok(Buffer.byteLength(response.body) <= 200, response.body)
    assert.match(response.body, /^[\x20-\x7e]+$/)
    assert.equal(response.headers['x-evil'], undefined)
    assert.equal(verifier.seen.calls, 0)
    assert.equal((await axon.inject(signLegacy(hello, from(dave)))).statusCode, 200)
  })

  it('everybody, while a blacklist or the metagraph fails', async () => {
    const failing = (): never => {
      throw new Error('the database is gone')
    }
    const axons = [
      axonOf({}, serve({ definition: Echo, handler: () => ({}), blacklist: failing })),
      axonOf(
        {},
        serve({ definition: Echo, handler: () => ({}), blacklist: async () => failing() }),
      ),
      axonOf({ peers: { lookup: failing } }),
      axonOf({ verifier: { verify: failing } }),
    ]
    for (const [i, axon] of axons.entries()) {
      const response = await axon.inject(signLegacy(hello, from()))
      assert.equal(response.statusCode, 500, `axon ${i}`)
      assert.match(response.body, /^\{"message":"Internal Server Error #[0-9a-f-]{36}"\}$/)
    }
  })

  it('strangers, unless they are allowed', async () => {
    const axon = axonOf({ access: { allowUnregistered: true } })
    assert.equal((await axon.inject(signLegacy(hello, from(charlie)))).statusCode, 200)
    assert.equal(
      (await axon.inject(signLegacy(hello, from(charlie, { forged: true })))).statusCode,
      401,
    )
  })

  it('a request that was signed for another axon', async () => {
    const other = { receiver: charlie.address }
    for (const request of [
      signLegacy(hello, from(alice, other)),
      signBtauth(hello, from(alice, other)),
    ]) {
      assert.equal((await axonOf().inject(request)).statusCode, 401)
    }
  })

  it('a replay, an older nonce of one uuid, a nonce of the past and of the future', async () => {
    const clock = new FakeClock(1_760_000_000_000)
    const axon = axonOf({ clock })
    const now = 1_760_000_000_000_000_000n
    const second = 1_000_000_000n
    const send = async (of: Partial<Signing>, sign: typeof signLegacy = signLegacy) =>
      (await axon.inject(sign(hello, from(alice, of)))).statusCode
    const first = signLegacy(hello, from(alice, { nonce: now + 5n }))
    assert.equal((await axon.inject(first)).statusCode, 200)
    assert.equal((await axon.inject(first)).statusCode, 401)
    assert.deepEqual(
      {
        older: await send({ nonce: now + 4n }),
        newer: await send({ nonce: now + 6n }),
        otherUuid: await send({ nonce: now + 4n, uuid: uuidOf(9) }),
        past: await send({ nonce: now - 16n * second, uuid: uuidOf(1) }),
        future: await send({ nonce: now + 17n * second, uuid: uuidOf(2) }),
        btauthPast: await send({ nonce: now - 11n * second }, signBtauth),
        btauthFuture: await send({ nonce: now + 3n * second }, signBtauth),
      },
      {
        older: 401,
        newer: 200,
        otherUuid: 200,
        past: 401,
        future: 401,
        btauthPast: 401,
        btauthFuture: 401,
      },
    )
    const once = signBtauth(hello, from(alice, { nonce: now + 50n }))
    assert.deepEqual(
      [(await axon.inject(once)).statusCode, (await axon.inject(once)).statusCode],
      [200, 401],
    )
  })

  it('a replay of what was accepted before a restart', async () => {
    const clock = new FakeClock(1_760_000_000_000)
    const before = axonOf({ clock })
    const request = signLegacy(hello, from(alice, { nonce: clock.nowNs() }))
    assert.equal((await before.inject(request)).statusCode, 200)
    await clock.advance(1000)
    assert.equal((await axonOf({ clock }).inject(request)).statusCode, 401)
  })

  it('two copies of one request that arrive together, but for one', async () => {
    const waiting: (() => void)[] = []
    const verifier = {
      verify: (input: Parameters<typeof verifySignature>[0]) =>
        new Promise<boolean>((resolve) => {
          waiting.push(() => resolve(verifySignature(input)))
        }),
    }
    const axon = axonOf({ verifier })
    const request = signLegacy(hello, from())
    const both = [axon.inject(request), axon.inject(request)]
    while (waiting.length < 2) await turn()
    for (const go of waiting) go()
    const codes = (await Promise.all(both)).map((response) => response.statusCode)
    assert.deepEqual(codes.sort(), [200, 401])
  })

  it('a body that is not the signed one', async () => {
    const request = signLegacy(hello, from())
    const changed = request.payload.replace('"hello"', '"hullo"')
    assert.notEqual(changed, request.payload)
    assert.equal((await axonOf().inject({ ...request, payload: changed })).statusCode, 500)
    const btauth = signBtauth(hello, from())
    const other = btauth.payload.replace('"hello"', '"hullo"')
    assert.equal((await axonOf().inject({ ...btauth, payload: other })).statusCode, 401)
  })

  it('forged signatures, after a few without checking them; honest callers are served', async () => {
    const verifier = countingVerifier()
    const all = new PeerMap().add(alice)
    const victims = Array.from({ length: 50 }, (_, i) => signerFromUri(`//Victim//${i}`))
    for (const victim of victims) all.add(victim)
    const clock = new FakeClock(Date.now() - 1000)
    const axon = axonOf({ verifier, peers: all, clock })
    await clock.advance(1000)
    const at = (remoteAddress: string, sender = alice, forged = false) =>
      axon.inject({
        ...signLegacy(hello, from(sender, { forged, nonce: clock.nowNs() })),
        remoteAddress,
      })
    assert.equal((await at('1.1.1.1')).statusCode, 200)
    verifier.seen.calls = 0
    const codes = new Map<number, number>()
    for (let i = 0; i < 300; i += 1) {
      const { statusCode } = await at('6.6.6.6', victims[i % victims.length] ?? alice, true)
      codes.set(statusCode, (codes.get(statusCode) ?? 0) + 1)
    }
    assert.equal(verifier.seen.calls, 20, 'the budget of one address')
    assert.deepEqual([codes.get(401), codes.get(429)], [20, 280])
    assert.equal((await at('1.1.1.1')).statusCode, 200)
    assert.equal((await at('7.7.7.7')).statusCode, 200, 'new address, flood elsewhere')
  })

  it('a caller a hundred times too fast, and nobody else for it', async () => {
    const clock = new FakeClock(Date.now() - 1000)
    const all = new PeerMap().add(alice)
    const others = Array.from({ length: 255 }, (_, i) => signerFromUri(`//Other//${i}`))
    for (const other of others) all.add(other)
    const axon = axonOf({ peers: all, clock, rateLimit: { perSecond: 2, burst: 4 } })
    await clock.advance(1000)
    const call = async (sender: typeof alice) =>
      (await axon.inject(signLegacy(hello, from(sender, { nonce: clock.nowNs() })))).statusCode
    let greedy = 0
    for (let second = 0; second < 2; second += 1) {
      for (let i = 0; i < 50; i += 1) greedy += (await call(alice)) === 200 ? 1 : 0
      for (const other of others.slice(0, 32)) assert.equal(await call(other), 200)
      await clock.advance(1000)
    }
    assert.equal(greedy, 4 + 2)
  })
})

describe('an axon orders its work', () => {
  function gated() {
    const order: string[] = []
    const gates: (() => void)[] = []
    const route = serve({
      definition: Echo,
      handler: async ({ text }) => {
        order.push(text)
        await new Promise<void>((resolve) => {
          gates.push(resolve)
        })
        return {}
      },
    })
    return { order, gates, route }
  }

  it('by stake: a full queue of little stake lets great stake in, and ahead', async () => {
    const { order, gates, route } = gated()
    const axon = axonOf({ concurrency: 1, queueLimit: 3, synapses: [route] })
    const send = (sender: typeof alice, text: string) =>
      axon.inject(signed(Echo, { text }, from(sender)))
    const until = async (check: () => Promise<boolean> | boolean) => {
      while (!(await check())) await turn()
    }
    const first = send(dave, 'running')
    await until(() => order.length === 1)
    const low = ['low 1', 'low 2', 'low 3', 'low 4'].map((text) => send(dave, text))
    const refusedLow = await Promise.race(low)
    assert.equal(refusedLow.statusCode, 429)
    assert.ok(Number(refusedLow.headers['retry-after']) >= 1)
    const high = send(alice, 'high')
    const codes: number[] = []
    for (const answer of low) void answer.then((response) => codes.push(response.statusCode))
    await until(() => codes.length === 2)
    for (let i = 0; i < 4; i += 1) {
      await until(() => gates.length > i)
      gates[i]?.()
    }
    await Promise.all([first, high, ...low])
    assert.deepEqual(order, ['running', 'high', 'low 1', 'low 2'])
    assert.deepEqual(codes.sort(), [200, 200, 429, 429])
  })
})

describe('hostile bodies', () => {
  const axon = axonOf()
  const sendBody = (payload: string) => {
    const request = signLegacy(hello, from())
    return axon.inject({ ...request, payload })
  }
  const cpuMs = async (work: () => Promise<unknown>) => {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }

  it('are refused for little work: deep, broken, huge numbers, no object', async () => {
    const deep = '['.repeat(100_000)
    const bodies: Record<string, string> = {
      deepArray: deep + ']'.repeat(100_000),
      deepObject: `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      unclosed: deep,
      infinity: '{"text":1e999}',
      nan: '{"text":NaN}',
      longInt: `{"text":${'9'.repeat(100_000)}}`,
      bom: '\ufeff{"text":"hello"}',
      text: '"hello"',
      nothing: '',
    }
    for (const body of Object.values(bodies)) await sendBody(body)
    for (const [name, body] of Object.entries(bodies)) {
      let code = 0
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < 5; i += 1) {
        const spent = await cpuMs(async () => {
          code = (await sendBody(body)).statusCode
        })
        least = Math.min(least, spent)
      }
      assert.ok(code === 422 || code === 500, `${name}: ${code}`)
      assert.ok(least <= 5, `${name}: ${least} ms of CPU`)
    }
  })

  it('of more than the limit are not read', async () => {
    const response = await sendBody(`{"text":"${'x'.repeat(2 * 2 ** 20)}"}`)
    assert.deepEqual([response.statusCode, response.json()], [413, { message: 'Body too large' }])
  })

  it('pollute no prototype', async () => {
    const seen: Record<string, unknown>[] = []
    const route = serve({
      definition: Echo,
      handler: ({ meta }) => {
        seen.push(meta)
        return {}
      },
    })
    const request = signLegacy(hello, from())
    const payload =
      '{"text":"hello","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},' +
      '"meta":{"__proto__":{"polluted":1},"toString":1}}'
    const response = await axonOf({}, route).inject({ ...request, payload })
    assert.equal(response.statusCode, 200, response.body)
    assert.equal(Reflect.get({}, 'polluted'), undefined)
    assert.equal(Object.getPrototypeOf(seen[0]), Object.prototype)
  })
})
