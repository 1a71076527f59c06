import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import {
  FetchError,
  type FetcherOptions,
  GuardedFetcher,
  type Resolver,
} from '#src/lib/http/index.js'
import { send } from '#src/lib/http/send.js'

let server: Server
let origin: string
let port: number
let hits = 0
let handler: RequestListener = (_request, response) => response.end('ok')
let dir: string

before(async () => {
  server = createServer((request, response) => {
    hits += 1
    handler(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  origin = `http://127.0.0.1:${port}`
  dir = await mkdtemp(join(tmpdir(), 'subreel-fetch-'))
})

after(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(dir, { recursive: true })
})

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run
  } catch (error) {
    assert.ok(error instanceof FetchError, String(error))
    return error.code
  }
  return 'fetched'
}

const fetcher = (options: FetcherOptions = {}) => new GuardedFetcher(options)
const local = new GuardedFetcher({ allowPrivate: true })
const reply = (listener: RequestListener) => {
  handler = listener
}

describe('guarded fetch against a canary listener', () => {
  it('never connects to loopback, whatever it is called', async () => {
    hits = 0
    const names = [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '017700000001',
      '[::ffff:127.0.0.1]',
      'localhost',
    ]
    for (const name of names) {
      assert.equal(
        await codeOf(fetcher().fetch(`http://${name}:${port}/`)),
        'FETCH_ADDRESS_REFUSED',
        name,
      )
    }
    assert.equal(hits, 0)
  })

  it('refuses a name of which one address is private', async () => {
    hits = 0
    const resolver: Resolver = async () => [
      { address: '93.184.216.34', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]
    assert.equal(
      await codeOf(fetcher({ resolver }).fetch(`http://mixed.example:${port}/`)),
      'FETCH_ADDRESS_REFUSED',
    )
    assert.equal(hits, 0)
  })

  it('connects only to the address it checked, when the name is rebound afterwards', async () => {
    hits = 0
    let asked = 0
    const resolver: Resolver = async () => {
      asked += 1
      return [{ address: asked === 1 ? '192.0.2.1' : '127.0.0.1', family: 4 }]
    }
    const run = fetcher({ resolver }).fetch(`http://rebind.example:${port}/`, { timeoutMs: 1000 })
    assert.notEqual(await codeOf(run), 'fetched')
    assert.equal(asked, 1)
    assert.equal(hits, 0)
  })

  it('pins the checked address: a name that no resolver knows is reached through it', async () => {
    reply((_request, response) => response.end('pinned'))
    const resolver: Resolver = async () => [{ address: '127.0.0.1', family: 4 }]
    const response = await fetcher({ resolver, allowPrivate: true }).fetch(
      `http://nowhere.invalid:${port}/`,
    )
    assert.equal((await response.body.toArray()).join(''), 'pinned')
  })

  it('tries the next checked address when one does not answer', async () => {
    reply((_request, response) => response.end('second'))
    const resolver: Resolver = async () => [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ]
    const response = await fetcher({ resolver, allowPrivate: true }).fetch(
      `http://two.example:${port}/`,
    )
    assert.equal((await response.body.toArray()).join(''), 'second')
  })

  it('judges where a public host redirects to as it judges a URL', async () => {
    const resolver: Resolver = async (host) => [
      { address: host === 'inside.example' ? '169.254.169.254' : '93.184.216.34', family: 4 },
    ]
    // What was judged to be a public address is this listener.
    const guarded = fetcher({
      resolver,
      send: (url, options) =>
        send(url, {
          ...options,
          lookup: (_host, { all }, done) =>
            all === true
              ? done(null, [{ address: '127.0.0.1', family: 4 }])
              : done(null, '127.0.0.1', 4),
        }),
    })
    const refused = {
      [`http://127.0.0.1:${port}/`]: 'FETCH_ADDRESS_REFUSED',
      [`http://0x7f.1:${port}/`]: 'FETCH_ADDRESS_REFUSED',
      [`//[::ffff:127.0.0.1]:${port}/`]: 'FETCH_ADDRESS_REFUSED',
      [`http://inside.example:${port}/`]: 'FETCH_ADDRESS_REFUSED',
      [`http://user@public.example:${port}/`]: 'FETCH_URL_REFUSED',
      'http://public.example:22/': 'FETCH_URL_REFUSED',
      'file:///etc/passwd': 'FETCH_URL_REFUSED',
    }
    for (const [location, code] of Object.entries(refused)) {
      hits = 0
      reply((request, response) => {
        const next = request.url === '/' ? '/2' : location
        response.writeHead(302, { location: next }).end()
      })
      assert.equal(await codeOf(guarded.fetch(`http://public.example:${port}/`)), code, location)
      assert.equal(hits, 2, location)
    }
  })

  it('follows no more than three redirects', async () => {
    reply((request, response) => response.writeHead(302, { location: `${request.url}x` }).end())
    hits = 0
    assert.equal(await codeOf(local.fetch(`${origin}/`)), 'FETCH_REDIRECTS')
    assert.equal(hits, 4)
  })

  it('follows three redirects', async () => {
    reply((request, response) => {
      if (request.url === '/aaa') response.end('end')
      else response.writeHead(307, { location: `${request.url}a` }).end()
    })
    const response = await local.fetch(`${origin}/`)
    assert.equal(response.url, `${origin}/aaa`)
    response.body.destroy()
  })

  it("takes the caller's headers to no other origin", async () => {
    const seen: string[] = []
    const other = `http://other.example:${port}`
    const resolver: Resolver = async () => [{ address: '127.0.0.1', family: 4 }]
    reply((request, response) => {
      const { host, authorization, cookie, range } = request.headers
      const own = [authorization, cookie, request.headers['x-api-key']].join('|')
      seen.push(`${host === `other.example:${port}` ? 'other' : 'first'} ${own} ${range}`)
      const next = { '/': '/same', '/same': `${other}/far`, '/far': `${origin}/back` }[
        request.url ?? ''
      ]
      if (next === undefined) response.end('end')
      else response.writeHead(302, { location: next }).end()
    })
    const headers = {
      Authorization: 'secret',
      cookie: 'a=b',
      'X-Api-Key': 'key',
      Range: 'bytes=0-',
    }
    const named = fetcher({ resolver, allowPrivate: true })
    const response = await named.fetch(`${origin}/`, { headers })
    response.body.destroy()
    assert.deepEqual(seen, [
      'first secret|a=b|key bytes=0-',
      'first secret|a=b|key bytes=0-',
      'other || bytes=0-',
      'first || bytes=0-',
    ])
  })

  it('cuts an endless body at the cap', async () => {
    reply((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', more)
      more()
    })
    const target = join(dir, 'endless')
    assert.equal(
      await codeOf(local.download(`${origin}/`, target, { maxBytes: 1_000_000 })),
      'FETCH_TOO_LARGE',
    )
    assert.deepEqual(await readdir(dir), [], 'the partial file is gone')
  })

  it('believes an announced length that is too large', async () => {
    reply((_request, response) =>
      response.writeHead(200, { 'content-length': '99999999' }).write('x'),
    )
    assert.equal(
      await codeOf(local.download(`${origin}/`, join(dir, 'x'), { maxBytes: 1000 })),
      'FETCH_TOO_LARGE',
    )
  })

  it('reports a body shorter than announced', async () => {
    reply((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('short', () => response.destroy())
    })
    assert.equal(await codeOf(local.download(`${origin}/`, join(dir, 'x'))), 'FETCH_TRUNCATED')
  })

  it('ends at the deadline, before the head and in the middle of the body', async () => {
    reply(() => {})
    assert.equal(await codeOf(local.fetch(`${origin}/`, { timeoutMs: 200 })), 'FETCH_TIMEOUT')
    reply((_request, response) => void response.writeHead(200).write('x'))
    assert.equal(
      await codeOf(local.download(`${origin}/`, join(dir, 'x'), { timeoutMs: 200 })),
      'FETCH_TIMEOUT',
    )
  })

  it('is not kept by a server that switches protocols', async () => {
    reply((_request, response) => {
      const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'
      response.socket?.write(head)
    })
    assert.equal(await codeOf(local.fetch(`${origin}/`)), 'FETCH_CONNECTION_FAILED')
  })

  it('leaves a body that trickles, and not one that only starts late', async () => {
    const hasty = new GuardedFetcher({ allowPrivate: true, rateWindowMs: 300 })
    let drip: NodeJS.Timeout | undefined
    reply((_request, response) => {
      response.writeHead(200)
      drip = setInterval(() => response.write('x'), 20)
    })
    assert.equal(await codeOf(hasty.download(`${origin}/`, join(dir, 'x'))), 'FETCH_TOO_SLOW')
    clearInterval(drip)
    reply((_request, response) => void setTimeout(() => response.end('late'), 600))
    const late = await hasty.fetch(`${origin}/`)
    assert.equal(Buffer.concat(await late.body.toArray()).toString(), 'late')
  })

  it('never decompresses: an encoded body is refused', async () => {
    reply((_request, response) =>
      response
        .writeHead(200, { 'content-encoding': 'gzip' })
        .end(gzipSync(Buffer.alloc(10_000_000))),
    )
    assert.equal(await codeOf(local.download(`${origin}/`, join(dir, 'x'))), 'FETCH_ENCODED')
  })

  it('reports the status of a failed download', async () => {
    reply((_request, response) => response.writeHead(404).end('no'))
    assert.equal(await codeOf(local.download(`${origin}/`, join(dir, 'x'))), 'FETCH_STATUS')
  })

  it("passes the caller's abort through", async () => {
    reply(() => {})
    const controller = new AbortController()
    const run = local.fetch(`${origin}/`, { signal: controller.signal })
    controller.abort()
    await assert.rejects(run, { name: 'AbortError' })
  })

  it('leaves nothing on its caller once it is over, however it ended', async () => {
    const { signal } = new AbortController()
    const ways: Record<string, RequestListener> = {
      whole: (_request, response) => response.end('whole'),
      refused: (_request, response) => response.writeHead(403).end('no'),
      broken: (_request, response) => response.destroy(),
    }
    for (const [way, listener] of Object.entries(ways)) {
      reply(listener)
      await local.download(`${origin}/`, join(dir, `over-${way}`), { signal }).catch(() => {})
      // A body that nobody reads closes after its fetch has failed.
      await turn()
      assert.equal(getEventListeners(signal, 'abort').length, 0, way)
    }
    reply((_request, response) => response.end('unread'))
    const { body } = await local.fetch(`${origin}/`, { signal })
    await once(body.destroy(), 'close')
    assert.equal(getEventListeners(signal, 'abort').length, 0, 'unread')
  })

  it('survives a server that hangs up while its body is read slowly', async () => {
    const size = 3_000_000
    reply((_request, response) => {
      response.writeHead(200, { 'content-length': size, connection: 'close' })
      response.end(Buffer.alloc(size, 'x'))
    })
    const { body } = await local.fetch(`${origin}/`)
    let received = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      received += chunk.length
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    assert.equal(received, size)
    const unread = await local.fetch(`${origin}/`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    unread.body.destroy()
  })

  it('hashes what it downloads', async () => {
    reply((_request, response) => response.end('abc'))
    const path = join(dir, 'abc')
    const got = await local.download(`${origin}/`, path)
    assert.equal(got.sha256, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    assert.equal(await readFile(path, 'utf8'), 'abc')
    await rm(path)
  })
})
