// Real Python dendrites against our axon, our dendrite against real Python axons, and btauth/1 both
// ways. Needs what scripts/interop.mjs installs. Ends with `N passed, N failed`.
import assert from 'node:assert/strict'
import { createAxon } from 'subreel/axon'
import { createDendrite, type Target } from 'subreel/dendrite'
import {
  AudioTask,
  ComfySupport,
  defineSynapse,
  LengthCheck,
  Ping,
  PyFloat,
  TaskStatusCheck,
  TaskWarrant,
  VideoCompression,
  VideoCompressionJob,
  VideoCompressionPoll,
  VideoTask,
  VideoUpscaling,
} from 'subreel/protocol'
import { z } from 'zod'
import { KEYS, PeerMap } from '../support/axon.js'
import { freePort } from '../support/ports.js'
import { PythonHelper, Report } from './helper.js'
import { HashedTask, routes, TokenStream } from './synapses.js'

const LEGACY_SDKS = ['10.5.0', '8.5.2']
const BTAUTH_SDK = '11.3.0'
const ED25519_ALICE = '5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu'

const CLIP = 'http://198.51.100.1/in.mp4?sig=a%20b&x=1'
const WORKFLOW = {
  '10': { seed: '18446744073709551615', cfg: 5.5 },
  '9': { text: 'été 🦊 "q" \\ \n' },
}

const report = new Report()

interface PythonAnswer {
  readonly status: number | null
  readonly message: string | null
  readonly success: boolean
  readonly axon_hotkey: string | null
  readonly process_time: number | null
  readonly fields: Record<string, never>
  readonly chunks?: string
}

async function withOurAxon(
  run: (
    at: { ip: string; port: number; hotkey: string },
    seen: Map<string, unknown>,
  ) => Promise<void>,
): Promise<void> {
  const peers = new PeerMap().add(KEYS.alice).add(KEYS.charlie)
  peers.add({ address: ED25519_ALICE as typeof KEYS.alice.address })
  const seen = new Map<string, unknown>()
  const axon = createAxon({
    wallet: KEYS.bob,
    peers,
    synapses: routes((name, request) => seen.set(name, request)),
  })
  try {
    const { port } = await axon.listen({ host: '127.0.0.1', port: 0 })
    await run({ ip: '127.0.0.1', port, hotkey: KEYS.bob.address }, seen)
  } finally {
    await axon.close()
  }
}

async function pythonDendrite(sdk: string): Promise<void> {
  const hashed = {
    prompt: 'a "red" fox\u200b 🦊',
    steps: 7,
    guidance: 5,
    options: { i: 1, f: 1.5, '7': null, deep: [{ x: "it's" }] },
    seeds: [1, 2],
    nested: { label: 'n', weight: 2, tags: ['a'], extra: { z: true } },
  }
  const compress = { reference_video_urls: ['u1', 'u2'], vmaf_thresholds: [89, 93] }
  const payload = (type: string) => ({
    miner_payload: { reference_video_url: CLIP, task_type: type, maximum_optimized_size_mb: 25 },
  })
  const calls: readonly (readonly [string, string, object, (answer: PythonAnswer) => void])[] = [
    ['pings', 'Synapse', {}, success],
    [
      'is told what we warrant',
      'TaskWarrantProtocol',
      {},
      (a) => equal(a, a.fields['warrant_task'], 2),
    ],
    [
      'is told our length',
      'LengthCheckProtocol',
      { max_content_length: 5 },
      (a) => equal(a, a.fields['max_content_length'], 10),
    ],
    [
      'has a clip upscaled',
      'VideoUpscalingProtocol',
      payload('SD2HD'),
      (a) => equal(a, a.fields['miner_response'], { optimized_video_url: `${CLIP}#SD2HD` }),
    ],
    [
      'has a list of clips compressed',
      'VideoCompressionProtocol',
      { miner_payload: compress },
      (a) =>
        equal(a, a.fields['miner_response'], {
          optimized_video_urls: ['u1#89#av1', 'u2#93#av1'],
          optimized_video_url: 'u1#89#av1',
        }),
    ],
    [
      'hands over a job',
      'VideoCompressionJobProtocol',
      { job_id: 'job-1', miner_payload: compress },
      (a) => equal(a, a.fields['job_response'], { accepted: true }),
    ],
    [
      'polls a job',
      'VideoCompressionPollProtocol',
      { job_id: 'job-1' },
      (a) =>
        equal(a, a.fields['poll_response'], {
          job_id: 'job-1',
          status: 'completed',
          optimized_video_urls: ['http://198.51.100.1/r.mp4'],
          optimized_video_url: 'http://198.51.100.1/r.mp4',
        }),
    ],
    [
      'runs a workflow',
      'VideoTask',
      { task_id: 't', workflow_params: WORKFLOW },
      (a) => {
        equal(a, JSON.parse(a.fields['video_url'] ?? ''), WORKFLOW)
        assert.deepEqual(a.fields['workflow_params'], WORKFLOW)
        assert.equal(a.fields['status_code'], 200)
      },
    ],
    ['asks for ComfyUI', 'ComfySupport', {}, (a) => equal(a, a.fields['supports_comfy'], true)],
    [
      'sends a required field',
      'AudioTask',
      { input_data: 'QUJD' },
      (a) => equal(a, a.fields['output_data'], 'DJUQ'),
    ],
    [
      'signs hashed fields',
      'HashedTask',
      hashed,
      (a) => equal(a, a.fields['result'], `8:${hashed.prompt}`),
    ],
    [
      'reads a stream',
      'TokenStream',
      { prompt: 'alpha beta' },
      (a) => equal(a, a.chunks, 'alphabeta'),
    ],
    [
      'is refused in the words of the handler',
      'VideoUpscalingProtocol',
      payload('BUSY'),
      (a) => assert.deepEqual([a.status, a.message, a.success], [429, 'busy', false]),
    ],
    [
      'is told of a handler that fails',
      'VideoUpscalingProtocol',
      payload('BROKEN'),
      (a) => {
        assert.deepEqual([a.status, a.success], [500, false])
        assert.match(a.message ?? '', /^Internal Server Error/)
      },
    ],
    [
      'is told of a synapse that we lack',
      'NoSuchProtocol',
      {},
      (a) => {
        assert.deepEqual([a.status, a.success], [404, false])
        assert.match(a.message ?? '', /^Synapse name 'NoSuchProtocol' not found/)
      },
    ],
    ...Array.from(
      { length: 10 },
      (_, i) => [`calls again (${i + 1} of 10)`, 'LengthCheckProtocol', {}, success] as const,
    ),
  ]
  await withOurAxon(async (at, seen) => {
    const plan = {
      ...at,
      uri: '//Alice',
      calls: calls.map(([, name, fields]) => ({ name, fields })),
    }
    await using python = new PythonHelper(sdk, 'legacy_dendrite.py', plan, false)
    for (const [what, , , verify] of calls) {
      await report.check(`dendrite ${sdk} -> our axon: ${what}`, async () =>
        verify(await python.next<PythonAnswer>()),
      )
    }
    await report.check(`dendrite ${sdk} -> our axon: payloads arrive as they were sent`, () => {
      const upscale = seen.get('VideoUpscalingProtocol') as Record<string, unknown>
      assert.equal(upscale['reference_video_url'], CLIP)
      assert.equal(upscale['maximum_optimized_size_mb'], 25)
      const task = seen.get('HashedTask') as Record<string, unknown>
      assert.deepEqual(task['options'], hashed.options)
    })
    const stranger = { ...at, uri: '//Ferdie', calls: [{ name: 'LengthCheckProtocol' }] }
    await using unknown = new PythonHelper(sdk, 'legacy_dendrite.py', stranger, false)
    await report.check(
      `dendrite ${sdk} -> our axon: a hotkey not registered is refused`,
      async () => {
        const answer = await unknown.next<PythonAnswer>()
        assert.deepEqual([answer.status, answer.success], [403, false])
      },
    )
    const misled = {
      ...at,
      hotkey: KEYS.charlie.address,
      uri: '//Alice',
      calls: [{ name: 'LengthCheckProtocol' }],
    }
    await using wrong = new PythonHelper(sdk, 'legacy_dendrite.py', misled, false)
    await report.check(
      `dendrite ${sdk} -> our axon: a request signed for another is refused`,
      async () => {
        const answer = await wrong.next<PythonAnswer>()
        assert.deepEqual([answer.status, answer.success], [401, false])
      },
    )
  })
}

function success(answer: PythonAnswer): void {
  assert.deepEqual(
    [answer.status, answer.message, answer.success, answer.axon_hotkey],
    [200, 'Success', true, KEYS.bob.address],
  )
  assert.ok((answer.process_time ?? -1) >= 0)
}

function equal(answer: PythonAnswer, actual: unknown, expected: unknown): void {
  success(answer)
  assert.deepEqual(actual, expected)
}

async function pythonAxon(sdk: string): Promise<void> {
  const port = await freePort()
  const plan = { uri: '//Bob', port, blacklisted: KEYS.ferdie.address }
  await using python = new PythonHelper(sdk, 'legacy_axon.py', plan, true)
  await python.next()
  const target: Target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port }
  await using dendrite = createDendrite({ wallet: KEYS.alice, allowPrivate: true })
  await untilListening(() => dendrite.call(target, Ping, {}))
  const check = (what: string, run: () => Promise<void>) =>
    report.check(`our dendrite -> axon ${sdk}: ${what}`, run)

  await check('pings', async () => {
    const outcome = await dendrite.call(target, Ping, {})
    assert.ok(outcome.ok, describe(outcome))
    assert.equal(outcome.protocol, 'legacy')
    assert.ok((outcome.peerTimeMs ?? -1) >= 0)
  })
  await check('asks what it warrants', async () => {
    const outcome = await dendrite.call(target, TaskWarrant, {})
    assert.ok(outcome.ok, describe(outcome))
    assert.deepEqual(outcome.response, { warrant_task: 2, warrant_tasks: [2] })
  })
  await check('asks for its length', async () => {
    const outcome = await dendrite.call(target, LengthCheck, {})
    assert.equal(outcome.ok && outcome.response.max_content_length, 10, describe(outcome))
  })
  const upscale = (type: string, timeoutMs = 12_000, mb = 9_007_199_254_740_000) =>
    dendrite.call(
      target,
      VideoUpscaling,
      {
        version: { major: 1, minor: 2, patch: 3 },
        miner_payload: {
          reference_video_url: CLIP,
          task_type: type,
          maximum_optimized_size_mb: mb,
        },
      },
      { timeoutMs },
    )
  await check('has a clip upscaled by a miner of the old shape', async () => {
    const outcome = await upscale('SD24K')
    assert.ok(outcome.ok, describe(outcome))
    assert.deepEqual(outcome.response.miner_response.optimized_video_urls, [
      `${CLIP}#SD24K#9007199254740000`,
    ])
  })
  await check('has clips compressed by a miner of the new shape', async () => {
    const outcome = await dendrite.call(target, VideoCompression, {
      miner_payload: { reference_video_urls: ['u1', 'u2'], vmaf_thresholds: [89, 93] },
    })
    assert.ok(outcome.ok, describe(outcome))
    const urls = ['u1#89.0#av1', 'u2#93.0#av1']
    assert.deepEqual(outcome.response.miner_response.optimized_video_urls, urls)
  })
  await check('hands over a job and polls it', async () => {
    const job = await dendrite.call(target, VideoCompressionJob, {
      job_id: 'job-1',
      miner_payload: { reference_video_url: CLIP },
    })
    assert.equal(job.ok && job.response.job_response.accepted, true, describe(job))
    const poll = await dendrite.call(target, VideoCompressionPoll, { job_id: 'job-1' })
    assert.ok(poll.ok, describe(poll))
    assert.equal(poll.response.poll_response.status, 'completed')
    assert.equal(poll.response.poll_response.optimized_video_urls.length, 1)
  })
  await check('runs a workflow', async () => {
    const outcome = await dendrite.call(target, VideoTask, {
      task_id: 't',
      workflow_params: WORKFLOW,
    })
    assert.ok(outcome.ok, describe(outcome))
    assert.deepEqual(JSON.parse(outcome.response.video_url), WORKFLOW)
    assert.equal(outcome.response.status_code, 200)
  })
  await check('leaves out what a strict class would refuse as null', async () => {
    const outcome = await dendrite.call(target, TaskStatusCheck, { task_id: 't' })
    assert.ok(outcome.ok, describe(outcome))
    assert.deepEqual(outcome.response, {
      status: 'processing',
      progress: 42.5,
      estimated_time: 7,
      error_message: 't',
    })
  })
  await check('asks for ComfyUI', async () => {
    const outcome = await dendrite.call(target, ComfySupport, {})
    assert.equal(outcome.ok && outcome.response.supports_comfy, true, describe(outcome))
  })
  await check('sends a required field', async () => {
    const outcome = await dendrite.call(target, AudioTask, { input_data: 'QUJD' })
    assert.equal(outcome.ok && outcome.response.output_data, 'DJUQ', describe(outcome))
  })
  await check('signs hashed fields, ints beyond 2^53 and floats included', async () => {
    const outcome = await dendrite.call(target, HashedTask, {
      prompt: 'a "red" fox\u200b 🦊',
      steps: 9_007_199_254_740_993n,
      guidance: 5,
      options: { i: 1, f: new PyFloat(1), s: "it's", n: null },
      seeds: [340_282_366_920_938_463_463_374_607_431_768_211_455n],
      big: 10n ** 30n,
      nested: { weight: 2, extra: { a: [1e-7, 1e16] } },
    })
    assert.ok(outcome.ok, describe(outcome))
    const options = `{'i': 1, 'f': 1.0, 's': "it's", 'n': None}`
    assert.equal(outcome.response.result, `9007199254740994:${options}:2.0`)
  })
  await check('reads a stream', async () => {
    const outcome = await dendrite.stream(target, TokenStream, { prompt: 'alpha beta gamma' })
    assert.ok(outcome.ok, describe(outcome))
    let text = ''
    for await (const chunk of outcome.chunks) text += Buffer.from(chunk).toString('utf8')
    assert.equal(text, 'alphabetagamma')
  })
  await check('forwards 40 calls, 8 at once, and none is taken for a replay', async () => {
    const targets = Array.from({ length: 40 }, () => target)
    const outcomes = await dendrite.forward(targets, LengthCheck, {}, { concurrency: 8 })
    const bad = outcomes.filter(({ ok }) => !ok)
    assert.equal(bad.length, 0, describe(bad[0]))
  })
  const refused = async (
    call: Promise<Awaited<ReturnType<typeof upscale>> | { ok: boolean; statusCode?: unknown }>,
  ) => {
    const outcome = await call
    assert.ok(!outcome.ok)
    return [outcome.statusCode, 'statusMessage' in outcome ? outcome.statusMessage : undefined]
  }
  await check('is told of a synapse that it lacks', async () => {
    const NoSuch = defineSynapse({
      name: 'NoSuchProtocol',
      request: z.object({}),
      response: z.object({}),
    })
    const [status, message] = await refused(dendrite.call(target, NoSuch, {}))
    assert.equal(status, 404)
    assert.match(String(message), /^Synapse name 'NoSuchProtocol' not found/)
  })
  await check('is told of a handler that fails', async () => {
    const [status, message] = await refused(upscale('BROKEN'))
    assert.equal(status, 500)
    assert.match(String(message), /^Internal Server Error/)
  })
  await check('is told that it is busy', async () => {
    assert.equal((await refused(upscale('BUSY')))[0], 429)
  })
  await check('gives up on a slow handler', async () => {
    assert.deepEqual(await refused(upscale('SLOW', 700)), [
      408,
      'Request timeout after 0.7 seconds',
    ])
  })
  await check('is refused when blacklisted', async () => {
    await using stranger = createDendrite({ wallet: KEYS.ferdie, allowPrivate: true })
    const outcome = await stranger.call(target, VideoUpscaling, {
      miner_payload: { reference_video_url: CLIP },
    })
    assert.ok(!outcome.ok)
    const message = 'Forbidden. Key is blacklisted: not registered.'
    assert.deepEqual([outcome.statusCode, outcome.statusMessage], [403, message])
  })
  await check('is refused when the request is bound to another', async () => {
    const other = { ...target, hotkey: KEYS.charlie.address }
    assert.equal((await refused(dendrite.call(other, LengthCheck, {})))[0], 401)
  })
  await check('falls back to the legacy protocol where the chain announces SDK 11', async () => {
    await using fresh = createDendrite({ wallet: KEYS.alice, allowPrivate: true })
    const outcome = await fresh.call({ ...target, version: 11_003_000 }, LengthCheck, {})
    assert.ok(outcome.ok, describe(outcome))
    assert.equal(outcome.protocol, 'legacy')
  })
}

async function untilListening(probe: () => Promise<{ ok: boolean; processTimeMs: number }>) {
  const giveUp = Date.now() + 20_000
  while (!(await probe()).ok) {
    if (Date.now() > giveUp) throw new Error('the Python axon does not listen')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function describe(outcome: unknown): string {
  return JSON.stringify(outcome, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
}

async function pythonBtauth(): Promise<void> {
  interface Answer {
    readonly status: number
    readonly answer: Record<string, unknown>
  }
  const length = { name: 'LengthCheckProtocol', body: { max_content_length: 5 }, uri: '//Alice' }
  const steps: readonly (readonly [string, object, (answer: Answer) => void])[] = [
    [
      'calls with sr25519',
      length,
      ({ status, answer }) => assert.deepEqual([status, answer], [200, { max_content_length: 10 }]),
    ],
    [
      'calls with ed25519',
      { ...length, scheme: 'ed25519' },
      ({ status, answer }) => assert.deepEqual([status, answer], [200, { max_content_length: 10 }]),
    ],
    [
      'sends a nested payload',
      {
        name: 'VideoUpscalingProtocol',
        uri: '//Alice',
        body: { miner_payload: { reference_video_url: CLIP, task_type: 'SD2HD' } },
      },
      ({ answer }) =>
        assert.deepEqual(answer['miner_response'], {
          optimized_video_urls: [`${CLIP}#SD2HD`],
          optimized_video_url: `${CLIP}#SD2HD`,
        }),
    ],
    [
      'is refused a changed body',
      { ...length, tamper: true },
      ({ status }) => assert.equal(status, 401),
    ],
    [
      'is refused another path',
      { ...length, signed_path: '/Synapse' },
      ({ status }) => assert.equal(status, 401),
    ],
    [
      'is refused when bound to another',
      { ...length, receiver: KEYS.charlie.address },
      ({ status }) => assert.equal(status, 401),
    ],
    [
      'is refused when bound to nobody',
      { ...length, receiver: null },
      ({ status }) => assert.equal(status, 401),
    ],
    ['is refused a replay', { ...length, times: 2 }, ({ status }) => assert.equal(status, 401)],
    [
      'is refused when not registered',
      { ...length, uri: '//Ferdie' },
      ({ status }) => assert.equal(status, 403),
    ],
  ]
  await withOurAxon(async (at) => {
    const plan = { ...at, calls: steps.map(([, step]) => step) }
    await using python = new PythonHelper(BTAUTH_SDK, 'btauth_client.py', plan, false)
    for (const [what, , verify] of steps) {
      await report.check(`http_auth ${BTAUTH_SDK} -> our axon: ${what}`, async () =>
        verify(await python.next<Answer>()),
      )
    }
  })

  const plan = { hotkey: KEYS.bob.address }
  await using server = new PythonHelper(BTAUTH_SDK, 'btauth_server.py', plan, true)
  const { port } = await server.next<{ port: number }>()
  const target: Target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port, version: 11_003_000 }
  for (const protocol of ['btauth1', 'auto'] as const) {
    const name = `our dendrite (${protocol}) -> http_auth ${BTAUTH_SDK}`
    await using dendrite = createDendrite({ wallet: KEYS.alice, protocol, allowPrivate: true })
    await report.check(`${name}: is let in`, async () => {
      const outcome = await dendrite.call(target, LengthCheck, {})
      assert.equal(outcome.ok && outcome.response.max_content_length, 10, describe(outcome))
    })
    await report.check(`${name}: is known by its hotkey, body included`, async () => {
      const outcome = await dendrite.call(target, VideoTask, { task_id: 'été 🦊' })
      assert.ok(outcome.ok, describe(outcome))
      assert.equal(outcome.response.video_url, KEYS.alice.address)
      assert.equal(outcome.response.error, 'été 🦊')
    })
    await report.check(`${name}: is refused when bound to another`, async () => {
      const other = { ...target, hotkey: KEYS.charlie.address }
      const outcome = await dendrite.call(other, LengthCheck, {})
      assert.ok(!outcome.ok)
      assert.equal(outcome.statusCode, 401)
    })
  }
  await report.check(
    `our dendrite -> http_auth ${BTAUTH_SDK}: found out without a hint`,
    async () => {
      await using dendrite = createDendrite({ wallet: KEYS.alice, allowPrivate: true })
      const { version: _, ...unannounced } = target
      const outcome = await dendrite.call(unannounced, LengthCheck, {})
      assert.ok(outcome.ok, describe(outcome))
      assert.equal(outcome.protocol, 'btauth1')
    },
  )
}

for (const sdk of LEGACY_SDKS) {
  await pythonDendrite(sdk)
  await pythonAxon(sdk)
}
await pythonBtauth()
process.exitCode = report.end()
