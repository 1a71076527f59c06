import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SubnetError } from '#src/lib/errors.js'
import { SeededRng } from '#src/lib/rng.js'
import { Secret } from '#src/lib/secret.js'
import { RateLimiter } from '#src/storage/builtin/limiter.js'
import { parseRange } from '#src/storage/builtin/range.js'
import { UrlSigner } from '#src/storage/builtin/signer.js'
import { callerPrefix, contentTypeOf, resultKey } from '#src/storage/keys.js'
import { classifyS3 } from '#src/storage/s3/classify.js'
import { s3Options } from '#src/storage/s3/options.js'

describe('storage', () => {
  it('names results below the caller, unguessable and never twice', () => {
    const rng = new SeededRng('keys')
    const make = (hotkey: string) =>
      resultKey({ folder: 'upscaling', hotkey, extension: 'mp4', rng })
    const [a, b] = [make('alice'), make('alice')]
    assert.notEqual(a, b)
    assert.match(a, /^upscaling\/[0-9a-f]{16}\/r[\w-]{32}\.mp4$/)
    assert.ok(a.startsWith(`upscaling/${callerPrefix('alice')}/`))
    assert.ok(!make('bob').includes(callerPrefix('alice')))
  })

  it('serves no type that a browser would run', () => {
    assert.equal(contentTypeOf('a/b.mp4'), 'video/mp4')
    for (const key of ['a.html', 'a.svg', 'a.js', 'a', 'mp4']) {
      assert.equal(contentTypeOf(key).startsWith('text/'), false, key)
      assert.ok(!/svg|script|html/.test(contentTypeOf(key)), key)
    }
  })

  it('accepts a URL only for its method, key and time, under its own signing key', () => {
    const signer = new UrlSigner(new Secret(new Uint8Array(32).fill(7)))
    const query = new URLSearchParams(signer.sign('GET', 'a/b', 1_000))
    assert.equal(signer.verify('GET', 'a/b', query, 999_999), true)
    assert.equal(signer.verify('GET', 'a/b', query, 1_000_000), false)
    assert.equal(signer.verify('PUT', 'a/b', query, 0), false)
    assert.equal(signer.verify('GET', 'a/c', query, 0), false)
    const later = new URLSearchParams(query)
    later.set('expires', '2000')
    assert.equal(signer.verify('GET', 'a/b', later, 0), false)
    const stranger = new UrlSigner(new Secret(new Uint8Array(32).fill(8)))
    assert.equal(stranger.verify('GET', 'a/b', query, 0), false)
    assert.equal(signer.verify('GET', 'a/b', new URLSearchParams(), 0), false)
  })

  it('reads ranges as RFC 9110 says', () => {
    assert.equal(parseRange(undefined, 10), undefined)
    assert.deepEqual(parseRange('bytes=0-0', 10), { start: 0, end: 0 })
    assert.deepEqual(parseRange('bytes=2-', 10), { start: 2, end: 9 })
    assert.deepEqual(parseRange('bytes=-3', 10), { start: 7, end: 9 })
    assert.deepEqual(parseRange('bytes=-30', 10), { start: 0, end: 9 })
    assert.deepEqual(parseRange('bytes=5-99', 10), { start: 5, end: 9 })
    assert.equal(parseRange('bytes=10-', 10), 'unsatisfiable')
    assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable')
    assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable')
    for (const ignored of ['bytes=5-2', 'bytes=0-1,3-4', 'items=0-1', 'bytes=-', 'bytes=a-b']) {
      assert.equal(parseRange(ignored, 10), undefined, ignored)
    }
  })

  it('limits an address by rate and by answers in flight, and others not at all', () => {
    const limiter = new RateLimiter({ burst: 2, perSecond: 1, concurrent: 2 })
    assert.equal(limiter.enter('a', 0), undefined)
    assert.equal(limiter.enter('a', 0), undefined)
    assert.equal(limiter.enter('a', 0), 1)
    assert.equal(limiter.enter('b', 0), undefined)
    limiter.leave('a')
    assert.equal(limiter.enter('a', 500), 1)
    assert.equal(limiter.enter('a', 1_000), undefined)
    limiter.leave('a')
    limiter.leave('a')
    assert.equal(limiter.enter('a', 1_000), 1)
    assert.equal(limiter.enter('a', 60_000), undefined)
  })

  it('names the missing setting of a bucket', () => {
    const base = {
      service: 'minio' as const,
      bucket: 'b',
      endpoint: 'localhost:9000',
      region: 'us-east-1',
      accessKey: new Secret('a'),
      secretKey: new Secret('s'),
    }
    assert.equal(s3Options(base).endpoint, 'https://localhost:9000')
    assert.equal(s3Options({ ...base, endpoint: 'http://x' }).endpoint, 'http://x')
    assert.equal(s3Options({ ...base, service: 'aws', endpoint: undefined }).pathStyle, false)
    const backblaze = {
      ...base,
      service: 'backblaze' as const,
      endpoint: undefined,
      region: 'eu-1',
    }
    assert.equal(s3Options(backblaze).endpoint, 'https://s3.eu-1.backblazeb2.com')
    assert.equal(s3Options({ ...base, service: 'r2' }).region, 'auto')
    const missing = [{ bucket: undefined }, { endpoint: undefined }, { secretKey: undefined }]
    for (const [n, change] of missing.entries()) {
      assert.throws(
        () => s3Options({ ...base, ...change }),
        (error: unknown) => error instanceof SubnetError && error.code === 'STORAGE_CONFIG',
        `case ${n}`,
      )
    }
  })

  it('tells failures of a store that pass from those that stay', () => {
    const about = { operation: 'PutObject', bucket: 'b', key: 'k' }
    const of = (name: string, status: number | undefined) => {
      const error = Object.assign(new Error('x'), {
        name,
        $metadata: status === undefined ? {} : { httpStatusCode: status },
      })
      const classified = classifyS3(error, about)
      assert.ok(classified instanceof SubnetError)
      return `${classified.code} ${classified.retryable}`
    }
    assert.equal(of('InternalError', 500), 'STORAGE_UNAVAILABLE true')
    assert.equal(of('SlowDown', 503), 'STORAGE_UNAVAILABLE true')
    assert.equal(of('TooManyRequests', 429), 'STORAGE_UNAVAILABLE true')
    assert.equal(of('BadDigest', 400), 'STORAGE_UNAVAILABLE true')
    assert.equal(of('TimeoutError', undefined), 'STORAGE_UNAVAILABLE true')
    assert.equal(of('NoSuchBucket', 404), 'STORAGE_BUCKET_MISSING false')
    assert.equal(of('NoSuchKey', 404), 'STORAGE_NOT_FOUND false')
    assert.equal(of('RequestTimeTooSkewed', 403), 'STORAGE_CLOCK_SKEW false')
    assert.equal(of('SignatureDoesNotMatch', 403), 'STORAGE_DENIED false')
    assert.equal(of('InvalidArgument', 400), 'STORAGE_REFUSED false')
  })
})
