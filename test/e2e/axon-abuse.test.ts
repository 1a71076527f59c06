// What only a socket can do to an axon: slow heads and bodies, idle and too many connections, heads
// too large, floods. The rest of the abuse is in test/unit/axon/pipeline.test.ts.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { type Axon, type AxonOptions, createAxon, FLOOD_LIMITS, serve } from 'subreel/axon'
import { LengthCheck, prepareRequest } from 'subreel/protocol'
import { signerFromUri, verifySignature } from 'subreel/wallet'
import { KEYS, PeerMap } from '../support/axon.js'
import { onWire, type Signing, signLegacy } from '../support/signed.js'

const prepared = prepareRequest(LengthCheck, {})
const ATTACKER = '127.0.0.2'

const axons: Axon[] = []
after(() => Promise.all(axons.map((axon) => axon.close())))

async function listening(options: Partial<AxonOptions> = {}): Promise<number> {
  const axon = createAxon({
    wallet: KEYS.bob,
    peers: new PeerMap().add(KEYS.alice),
    synapses: [serve({ definition: LengthCheck, handler: () => ({}) })],
    ...options,
  })
  axons.push(axon)
  return (await axon.listen({ host: '127.0.0.1', port: 0 })).port
}

async function dial(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Everything the other side says until it hangs up, and how long that took. */
async function untilClosed(socket: Socket): Promise<{ text: string; tookMs: number }> {
  const started = performance.now()
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  if (!socket.closed) await once(socket, 'close')
  return { text, tookMs: performance.now() - started }
}

/** The status of one answer; 0 when the connection was closed without one. */
async function ask(socket: Socket, bytes: Buffer | string): Promise<number> {
  const answered = new Promise<number>((resolve) => {
    const closed = () => resolve(0)
    socket.once('close', closed)
    socket.once('data', (chunk) => {
      socket.off('close', closed)
      resolve(Number(chunk.toString('latin1').slice(9, 12)))
    })
  })
  socket.write(bytes)
  return answered
}

const hello = (of: Partial<Signing> = {}) =>
  onWire(signLegacy(prepared, { sender: KEYS.alice, receiver: KEYS.bob.address, ...of }))

async function askOnce(port: number, bytes: Buffer | string, from = '127.0.0.1'): Promise<number> {
  const socket = await dial(port, from)
  const status = await ask(socket, bytes)
  socket.destroy()
  return status
}

describe('slow and idle connections', () => {
  it('are closed in time, and nobody waits behind them', async () => {
    const port = await listening({ connections: { headMs: 500, requestMs: 1000, idleMs: 500 } })
    const drip = await dial(port)
    drip.write('POST /LengthCheckProtocol HTTP/1.1\r\nHost: a\r\n')
    const slowBody = await dial(port)
    const whole = hello()
    slowBody.write(whole.subarray(0, whole.length - 10))
    const silent = await dial(port)
    const kept = await dial(port)
    assert.equal(await ask(kept, hello()), 200)
    const all = [drip, slowBody, silent, kept].map(untilClosed)
    assert.equal(await askOnce(port, hello()), 200)
    for (const [i, closed] of (await Promise.all(all)).entries()) {
      // The limit, and a second between two looks at the connections; the rest is for a busy machine.
      assert.ok(closed.tookMs < 5000, `connection ${i} stayed ${closed.tookMs} ms`)
    }
  })

  it('are limited in number for one address', async () => {
    const port = await listening({ connections: { perAddress: 20, total: 40 } })
    const held = await Promise.all(Array.from({ length: 25 }, () => dial(port, ATTACKER)))
    const shut = await Promise.all(held.slice(20).map(untilClosed))
    assert.deepEqual(
      shut.map(({ text }) => text),
      ['', '', '', '', ''],
    )
    assert.equal(await askOnce(port, hello()), 200)
    for (const socket of held) socket.destroy()
  })
})

describe('connections that only sit there, from many addresses', () => {
  it('leave room for a caller that was served before', async () => {
    const port = await listening({
      connections: { total: 40, perAddress: 20, headMs: 60_000, requestMs: 60_000 },
    })
    assert.equal(await askOnce(port, hello()), 200)
    const sitting = await Promise.all(
      ['127.0.0.2', '127.0.0.3', '127.0.0.4'].flatMap((address) =>
        Array.from({ length: 20 }, () => dial(port, address)),
      ),
    )
    const stranger = await dial(port, '127.0.0.5')
    await untilClosed(stranger)
    assert.equal(await askOnce(port, hello()), 200)
    for (const socket of sitting) socket.destroy()
  })
})

describe('oversized requests', () => {
  it('with a head of 64 KiB or more are refused, with one of 8000 bytes served', async () => {
    const port = await listening()
    const padded = (count: number) =>
      hello()
        .toString('latin1')
        .replace('Host: 127.0.0.1', `Host: a\r\nX-Pad: ${'x'.repeat(count)}`)
    assert.equal(await askOnce(port, padded(8000)), 200)
    assert.equal(await askOnce(port, padded(66_000)), 431)
    const status = await askOnce(port, padded(1_000_000))
    assert.ok(status === 431 || status === 0, `${status}`)
  })

  it('are not read when they are refused, and lose their connection', async () => {
    const port = await listening()
    const socket = await dial(port)
    const closed = untilClosed(socket)
    socket.write(
      'POST /LengthCheckProtocol HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n',
    )
    const { text } = await closed
    assert.match(text, /^HTTP\/1\.1 401 /)
    assert.match(text, /connection: close/i)
  })
})

describe('a flood of forged requests', () => {
  it('is not even listened to after a while; honest callers from elsewhere always are', async () => {
    let verified = 0
    const victims = Array.from({ length: 20 }, (_, i) => signerFromUri(`//Victim//${i}`))
    const peers = new PeerMap().add(KEYS.alice)
    for (const victim of victims) peers.add(victim)
    const port = await listening({
      peers,
      verifier: {
        verify: (input) => {
          verified += 1
          return verifySignature(input)
        },
      },
    })
    const honest = await dial(port)
    assert.equal(await ask(honest, hello()), 200)
    const forged = victims.map((sender) => hello({ sender, forged: true }))
    const statuses = new Map<number, number>()
    for (let i = 0; i < 200; i += 1) {
      const status = await askOnce(port, forged[i % forged.length] ?? '', ATTACKER)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (i % 20 === 0) assert.equal(await ask(honest, hello()), 200)
    }
    assert.ok((statuses.get(0) ?? 0) > 0, 'connections are closed unheard in the end')
    const refill = 5 * 20
    assert.ok(verified <= 11 + 20 + refill, `${verified} signatures checked`)
    assert.equal(await ask(honest, hello()), 200)
    honest.destroy()
  })

  it('is closed before Node makes streams of its connections', async () => {
    const refusedPerAddress = { perSecond: 1, burst: 5 }
    const limits = { ...FLOOD_LIMITS, refusedPerAddress, shunMs: 600_000 }
    const port = await listening({ floodLimits: limits })
    const server = axons.at(-1)?.app.server
    assert.ok(server !== undefined)
    let status = -1
    while (status !== 0)
      status = await askOnce(port, 'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n', ATTACKER)
    const streams: (string | undefined)[] = []
    server.on('connection', ({ remoteAddress }) => streams.push(remoteAddress))
    for (let i = 0; i < 20; i += 1) assert.equal(await askOnce(port, hello(), ATTACKER), 0)
    assert.equal(await askOnce(port, hello()), 200)
    assert.deepEqual(streams, ['127.0.0.1'])
  })
})
