// The dendrite against servers that misbehave in every way a miner can. Statuses: those of the
// Python dendrite 10.5.0.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type CallFailure, createDendrite, type DendriteOptions } from 'subreel/dendrite'
import { LengthCheck, Ping, parseLegacyHeaders } from 'subreel/protocol'
import { createRegistry } from '#src/lib/metrics.js'
import { KEYS } from '../support/axon.js'
import { freePort } from '../support/ports.js'
import { http, httpServer, type RawServer, replyServer, tcpServer } from '../support/raw-server.js'

const OK = { bt_header_axon_status_code: '200', bt_header_axon_status_message: 'Success' }
const local = (options: Partial<DendriteOptions> = {}) =>
  createDendrite({ wallet: KEYS.alice, allowPrivate: true, ...options })

async function callOnce(
  server: RawServer,
  options: { timeoutMs?: number; maxReplyBytes?: number } = {},
) {
  const dendrite = local({ protocol: 'legacy' })
  try {
    return await dendrite.call(server.target, LengthCheck, {}, options)
  } finally {
    await dendrite.close()
    await server.close()
  }
}

async function failure(
  server: Promise<RawServer>,
  options: { timeoutMs?: number; maxReplyBytes?: number } = {},
): Promise<CallFailure> {
  const outcome = await callOnce(await server, options)
  assert.ok(!outcome.ok, 'the call succeeded')
  return outcome
}

const gist = ({ kind, statusCode, statusMessage }: CallFailure) => ({
  kind,
  statusCode,
  statusMessage,
})

describe('a dendrite', () => {
  it('reports a port where nobody listens as 503', async () => {
    await using dendrite = local()
    const target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port: await freePort() }
    const outcome = await dendrite.call(target, LengthCheck, {})
    assert.ok(!outcome.ok)
    assert.deepEqual(gist(outcome), {
      kind: 'unreachable',
      statusCode: 503,
      statusMessage: `Service unavailable at 127.0.0.1:${target.port}/LengthCheckProtocol`,
    })
  })

  it('reports silence as 408 and keeps to its deadline', async () => {
    const outcome = await failure(
      tcpServer(() => {}),
      { timeoutMs: 150 },
    )
    assert.deepEqual(gist(outcome), {
      kind: 'timeout',
      statusCode: 408,
      statusMessage: 'Request timeout after 0.15 seconds',
    })
    assert.ok(outcome.processTimeMs >= 100 && outcome.processTimeMs < 3000)
  })

  it('reports a body that drips past the deadline as 408', async () => {
    const reply = http(200, { ...OK, 'content-length': '100' }, '{')
    const outcome = await failure(replyServer(reply, false), { timeoutMs: 150 })
    assert.equal(outcome.statusCode, 408)
  })

  it('reports a connection closed without an answer as 503', async () => {
    const outcome = await failure(tcpServer((socket) => socket.end()))
    assert.deepEqual(gist(outcome), {
      kind: 'disconnected',
      statusCode: 503,
      statusMessage: 'Service disconnected: Server disconnected',
    })
  })

  it('reports a reset as 422', async () => {
    const outcome = await failure(tcpServer((socket) => socket.resetAndDestroy()))
    assert.equal(outcome.statusCode, 422)
    assert.equal(outcome.kind, 'bad-reply')
  })

  it('reports a body shorter than announced as 400', async () => {
    const outcome = await failure(replyServer(http(200, { ...OK, 'content-length': '99' }, '{}')))
    assert.equal(outcome.statusCode, 400)
    assert.match(outcome.statusMessage ?? '', /^Payload error: /)
  })

  it('reports a header line beyond 8190 bytes as 400, and takes five of 8000', async () => {
    const long = await failure(replyServer(http(200, { ...OK, x: 'a'.repeat(8200) }, '{}')))
    assert.equal(long.statusCode, 400)
    const many = {
      a: 'a'.repeat(8000),
      b: 'b'.repeat(8000),
      c: 'c'.repeat(8000),
      d: 'd'.repeat(8000),
    }
    const five = http(200, { ...OK, ...many, e: 'e'.repeat(8000) }, '{}')
    assert.equal((await callOnce(await replyServer(five))).ok, true)
    const endless = await failure(replyServer(http(200, { ...OK, ...repeat(20) }, '{}')))
    assert.equal(endless.statusCode, 400)
  })

  it('reports what is no HTTP as 400', async () => {
    assert.equal((await failure(replyServer('SSH-2.0-x\r\n\r\n'))).statusCode, 400)
  })

  it('reports every unreadable body as 422', async () => {
    const bodies: readonly (readonly [string, Record<string, string>, string])[] = [
      ['html', { 'content-type': 'text/html' }, '{}'],
      ['bad JSON', {}, '{"a":'],
      ['BOM', {}, '\ufeff{}'],
      ['array', {}, '[]'],
      ['null', {}, 'null'],
      ['field out of range', {}, '{"max_content_length":7}'],
      ['status no number', { bt_header_axon_status_code: 'abc' }, '{}'],
      ['timeout None', { timeout: 'None' }, '{}'],
      ['bad gzip', { 'content-encoding': 'gzip' }, '{}'],
    ]
    for (const [what, headers, body] of bodies) {
      const outcome = await failure(replyServer(http(200, { ...OK, ...headers }, body)))
      assert.equal(outcome.statusCode, 422, what)
      assert.match(outcome.statusMessage ?? '', /^Failed to parse response: /, what)
    }
  })

  it('lets the header status win over the HTTP status and takes no unnamed 200 for success', async () => {
    const refused = await failure(
      replyServer(
        http(200, { bt_header_axon_status_code: '403', bt_header_axon_status_message: 'no' }, '{}'),
      ),
    )
    assert.deepEqual(gist(refused), { kind: 'refused', statusCode: 403, statusMessage: 'no' })
    assert.equal((await failure(replyServer(http(200, {}, '{}')))).statusCode, undefined)
    const plain = await failure(replyServer(http(429, {}, '{"message":"later"}')))
    assert.deepEqual(gist(plain), { kind: 'refused', statusCode: 429, statusMessage: 'later' })
    const inBody = await callOnce(await replyServer(http(200, {}, '{"axon":{"status_code":200}}')))
    assert.ok(inBody.ok)
  })

  it('bounds the answer, compressed or not', async () => {
    const large = `{"x":"${'a'.repeat(5000)}"}`
    const plain = await failure(replyServer(http(200, OK, large)), { maxReplyBytes: 4096 })
    assert.equal(plain.kind, 'too-large')
    const bomb = httpServer((_request, _body, reply) => {
      reply.writeHead(200, {
        ...OK,
        'content-type': 'application/json',
        'content-encoding': 'gzip',
      })
      reply.end(gzipSync(large))
    })
    assert.equal((await failure(bomb, { maxReplyBytes: 4096 })).kind, 'too-large')
    const zipped = httpServer((_request, _body, reply) => {
      reply.writeHead(200, {
        ...OK,
        'content-type': 'application/json',
        'content-encoding': 'gzip',
      })
      reply.end(gzipSync('{"max_content_length":10}'))
    })
    const outcome = await callOnce(await zipped)
    assert.equal(outcome.ok && outcome.response.max_content_length, 10)
  })

  it('follows redirects of the peer itself and none to another', async () => {
    const own = await httpServer((request, _body, reply) => {
      if (request.url === '/LengthCheckProtocol') {
        reply.writeHead(307, { location: '/LengthCheckProtocol/' }).end()
      } else {
        reply.writeHead(200, { ...OK, 'content-type': 'application/json' }).end('{}')
      }
    })
    assert.equal((await callOnce(own)).ok, true)
    let reached = 0
    const other = await httpServer((_request, _body, reply) => {
      reached += 1
      reply.writeHead(200, OK).end('{}')
    })
    const away = `http://127.0.0.1:${other.target.port}/LengthCheckProtocol`
    const outcome = await failure(replyServer(http(307, { location: away }, '')))
    await other.close()
    assert.deepEqual([outcome.statusCode, reached], [422, 0])
    const loop = await failure(
      httpServer((_request, _body, reply) => {
        reply.writeHead(307, { location: '/LengthCheckProtocol' }).end()
      }),
    )
    assert.match(loop.statusMessage ?? '', /too many redirects/)
  })

  it('rejects with the reason of the caller who aborts', async () => {
    await using dendrite = local()
    const controller = new AbortController()
    const server = await tcpServer(() => controller.abort(new Error('enough')))
    const call = dendrite.call(server.target, Ping, {}, { signal: controller.signal })
    await assert.rejects(call, /enough/)
    await server.close()
    await assert.rejects(
      dendrite.call(server.target, Ping, {}, { signal: controller.signal }),
      /enough/,
    )
  })

  it('sends nothing to a private address unless told to', async () => {
    await using dendrite = createDendrite({ wallet: KEYS.alice })
    let reached = 0
    const server = await tcpServer(() => {
      reached += 1
    })
    const { port } = server.target
    for (const ip of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '::1',
      '::ffff:127.0.0.1',
      '0.0.0.0',
    ]) {
      const outcome = await dendrite.call({ hotkey: KEYS.bob.address, ip, port }, Ping, {})
      assert.equal(outcome.ok ? 'ok' : outcome.kind, 'address-refused', ip)
    }
    for (const bad of [{ ip: 'localhost' }, { port: 0 }, { port: 65_536 }, { ip: '' }]) {
      const outcome = await dendrite.call({ ...server.target, ...bad }, Ping, {})
      assert.equal(outcome.ok ? 'ok' : outcome.kind, 'address-refused', JSON.stringify(bad))
    }
    await server.close()
    assert.equal(reached, 0)
  })

  it('never has two requests in flight under one sender id, and nonces rise under each', async () => {
    await using dendrite = local({ protocol: 'legacy' })
    const flying = new Set<string>()
    const nonces = new Map<string, bigint>()
    let peak = 0
    const server = await httpServer((request, _body, reply) => {
      const headers = parseLegacyHeaders(request.headers)
      assert.ok(headers.ok)
      const { uuid = '', nonce = 0n } = headers.value.sender
      assert.ok(!flying.has(uuid), 'sender id used twice at once')
      assert.ok(nonce > (nonces.get(uuid) ?? 0n), 'nonce does not rise')
      nonces.set(uuid, nonce)
      flying.add(uuid)
      peak = Math.max(peak, flying.size)
      setImmediate(() => {
        flying.delete(uuid)
        reply.writeHead(200, { ...OK, 'content-type': 'application/json' }).end('{}')
      })
    })
    const targets = Array.from({ length: 60 }, () => server.target)
    const outcomes = await dendrite.forward(targets, Ping, {}, { concurrency: 6 })
    await server.close()
    assert.ok(outcomes.every(({ ok }) => ok))
    assert.ok(nonces.size <= 6, `${nonces.size} sender ids for 6 calls at once`)
    assert.ok(peak <= 6)
  })

  it('opens at most as many connections to a peer as it may, and uses them again', async () => {
    await using dendrite = local({ protocol: 'legacy', connectionsPerPeer: 3 })
    const sockets = new Set<unknown>()
    const server = await httpServer((request, _body, reply) => {
      sockets.add(request.socket)
      reply.writeHead(200, { ...OK, 'content-type': 'application/json' }).end('{}')
    })
    const targets = Array.from({ length: 30 }, () => server.target)
    for (let round = 0; round < 2; round += 1) {
      const outcomes = await dendrite.forward(targets, Ping, {}, { concurrency: 30 })
      assert.ok(outcomes.every(({ ok }) => ok))
    }
    await server.close()
    assert.ok(sockets.size <= 3, `${sockets.size} connections`)
  })

  it('leaves no listener behind on a signal that outlives its calls', async () => {
    await using dendrite = local()
    const server = await replyServer(http(200, OK, '{}'))
    const controller = new AbortController()
    for (let i = 0; i < 3; i += 1) {
      const outcome = await dendrite.call(server.target, Ping, {}, { signal: controller.signal })
      assert.ok(outcome.ok)
    }
    const unanswered = { ...server.target, port: await freePort() }
    await dendrite.call(unanswered, Ping, {}, { signal: controller.signal })
    await server.close()
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })

  it('remembers which protocol a peer speaks', async () => {
    const seen: string[] = []
    const server = await httpServer((request, body, reply) => {
      const modern = request.headers['x-bittensor-version'] === '1'
      seen.push(modern ? 'btauth1' : 'legacy')
      const type = { 'content-type': 'application/json' }
      if (!modern) return reply.writeHead(401, type).end('{"message":"missing version"}')
      assert.equal(body, '{"max_content_length":5}')
      return reply.writeHead(200, type).end('{"max_content_length":10}')
    })
    await using dendrite = local()
    for (let i = 0; i < 2; i += 1) {
      const outcome = await dendrite.call(server.target, LengthCheck, {})
      assert.equal(outcome.ok && outcome.response.max_content_length, 10)
      assert.equal(outcome.protocol, 'btauth1')
    }
    await server.close()
    assert.deepEqual(seen, ['legacy', 'btauth1', 'btauth1'])
  })

  it('tries btauth/1 first where the chain announces SDK 11, and falls back', async () => {
    const seen: string[] = []
    const server = await httpServer((request, _body, reply) => {
      const modern = request.headers['x-bittensor-version'] === '1'
      seen.push(modern ? 'btauth1' : 'legacy')
      const status = modern ? '401' : '200'
      const headers = { 'content-type': 'application/json', bt_header_axon_status_code: status }
      reply.writeHead(Number(status), headers).end('{}')
    })
    await using dendrite = local()
    for (let i = 0; i < 2; i += 1) {
      const outcome = await dendrite.call({ ...server.target, version: 11_003_000 }, Ping, {})
      assert.ok(outcome.ok)
    }
    await server.close()
    assert.deepEqual(seen, ['btauth1', 'legacy', 'legacy'])
  })

  it('counts its calls by outcome and names no peer', async () => {
    const registry = createRegistry()
    await using dendrite = local({ registry })
    await dendrite.call(
      { hotkey: KEYS.bob.address, ip: '127.0.0.1', port: await freePort() },
      Ping,
      {},
    )
    const text = await registry.metrics()
    assert.match(
      text,
      /subnet_dendrite_calls_total\{synapse="Synapse",protocol="legacy",outcome="unreachable"\} 1/,
    )
    assert.match(text, /subnet_dendrite_in_flight_calls 0/)
    assert.ok(!text.includes(KEYS.bob.address))
  })

  it('refuses to be used after it was closed', async () => {
    const dendrite = local()
    await dendrite.close()
    const target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port: 1 }
    await assert.rejects(dendrite.call(target, Ping, {}), { code: 'DENDRITE_CLOSED' })
  })

  it('blames nobody for calls that its own closing ends', async () => {
    const dendrite = local()
    let call: Promise<unknown> = Promise.resolve()
    const arrived = new Promise<RawServer>((resolve) => {
      const server: Promise<RawServer> = tcpServer(() => void server.then(resolve))
      call = server.then(({ target }) => dendrite.call(target, Ping, {}))
    })
    const server = await arrived
    const rejected = assert.rejects(call, { code: 'DENDRITE_CLOSED' })
    await dendrite.close()
    await rejected
    await server.close()
  })

  it('refuses a payload that does not fit before anything is sent', async () => {
    await using dendrite = local()
    const target = { hotkey: KEYS.bob.address, ip: '127.0.0.1', port: 1 }
    await assert.rejects(dendrite.call(target, LengthCheck, { max_content_length: 7 as 5 }), {
      code: 'PROTOCOL_PAYLOAD_INVALID',
    })
  })
})

function repeat(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'x'.repeat(8000)]))
}
