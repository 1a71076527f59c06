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
import { type S3Service, s3Options } from '#src/storage/s3/options.js'

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

  describe('settings of a bucket', () => {
    const base = {
      service: 'minio' as S3Service,
      bucket: 'b',
      endpoint: 'localhost:9000' as string | undefined,
      region: undefined as string | undefined,
      accessKey: new Secret('a'),
      secretKey: new Secret('s'),
    }

    const B2 = 's3.us-west-004.backblazeb2.com'
    const R2 = 'account.r2.cloudflarestorage.com'
    // Service, endpoint and region as set, then as used. Without an endpoint it is AWS.
    for (const [service, endpoint, region, at, where] of [
      ['aws', undefined, undefined, undefined, 'us-east-1'],
      ['aws', undefined, 'eu-central-1', undefined, 'eu-central-1'],
      ['s3', undefined, 'eu-central-1', undefined, 'eu-central-1'],
      ['s3', 'http://10.0.0.1:8333', undefined, 'http://10.0.0.1:8333', 'us-east-1'],
      [
        's3',
        's3.eu-west-2.wasabisys.com',
        undefined,
        'https://s3.eu-west-2.wasabisys.com',
        'eu-west-2',
      ],
      ['minio', 'localhost:9000', undefined, 'https://localhost:9000', 'us-east-1'],
      ['minio', 'localhost:9000', 'home', 'https://localhost:9000', 'home'],
      ['minio', 's3.my-firm.example.com', undefined, 'https://s3.my-firm.example.com', 'us-east-1'],
      ['backblaze', undefined, 'us-west-004', `https://${B2}`, 'us-west-004'],
      ['backblaze', B2, undefined, `https://${B2}`, 'us-west-004'],
      ['r2', R2, 'us-east-1', `https://${R2}`, 'auto'],
      ['hippius', undefined, undefined, 'https://s3.hippius.com', 'decentralized'],
    ] as const) {
      it(`${service} at ${endpoint ?? 'its own address'} in ${region ?? 'no region'}`, () => {
        const options = s3Options({ ...base, service, endpoint, region })
        assert.deepEqual([options.endpoint, options.region], [at, where])
        assert.equal(options.pathStyle, at !== undefined)
      })
    }

    for (const [change, meant] of [
      [{ bucket: undefined }, /needs bucket\.name \(BUCKET_NAME\)/],
      [{ endpoint: undefined }, /needs bucket\.endpoint \(BUCKET_COMPATIBLE_ENDPOINT\)/],
      [{ service: 'backblaze', endpoint: undefined }, /needs bucket\.endpoint/],
      [{ secretKey: undefined }, /needs bucket\.secret_key \(BUCKET_COMPATIBLE_SECRET_KEY\)/],
    ] as const) {
      it(`names the missing setting: ${meant.source}`, () => {
        assert.throws(
          () => s3Options({ ...base, ...change }),
          (error: Error) => {
            assert.equal((error as SubnetError).code, 'STORAGE_CONFIG')
            assert.match(error.message, meant)
            return true
          },
        )
      })
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
