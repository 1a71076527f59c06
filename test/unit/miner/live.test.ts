import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { Secret } from '#src/lib/secret.js'
import { CREDENTIAL_SECONDS, LiveCredentials } from '#src/miner/live/credential.js'
import { comfyFrame } from '#src/miner/live/frames.js'

const NOW = 1_790_000_000_000
const JOB = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)
const ADDRESS = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'
const credentials = new LiveCredentials(new Secret(Buffer.alloc(32, 7)))

describe('credentials of live views', () => {
  it('open the job they were issued for, for an hour', () => {
    const credential = credentials.issue(JOB, NOW)
    assert.ok(credentials.verify(JOB, credential, NOW))
    assert.ok(credentials.verify(JOB, credential, NOW + (CREDENTIAL_SECONDS - 1) * 1_000))
    assert.equal(credentials.verify(JOB, credential, NOW + CREDENTIAL_SECONDS * 1_000), false)
    assert.equal(credentials.verify(JOB, credential, NOW - 120_000), false, 'from the future')
    assert.equal(credentials.verify(OTHER, credential, NOW), false, 'another job')
  })

  it('cannot be made by whoever knows the public address of the miner', () => {
    const issued = String(NOW / 1_000)
    for (const form of [`${JOB}:${issued}`, `subreel live/1\n${JOB}\n${issued}`]) {
      const mac = createHmac('sha256', ADDRESS).update(form).digest('hex').slice(0, 32)
      const forged = Buffer.from(`${JOB}:${issued}:${mac}`).toString('base64url')
      assert.equal(credentials.verify(JOB, forged, NOW), false, form)
    }
    const stranger = new LiveCredentials(new Secret(Buffer.from(ADDRESS)))
    assert.equal(credentials.verify(JOB, stranger.issue(JOB, NOW), NOW), false)
  })

  it('are refused when anything in them was changed', () => {
    const genuine = Buffer.from(credentials.issue(JOB, NOW), 'base64url').toString()
    const [job = '', issued = '', mac = ''] = genuine.split(':')
    const changed = [
      '',
      'x',
      `${job}:${issued}`,
      `${job}:${Number(issued) + 1}:${mac}`,
      `${job}:${issued}:${mac.slice(0, 16)}`,
      `${job}:${issued}:${'0'.repeat(32)}`,
      `${OTHER}:${issued}:${mac}`,
      `${job}:${issued}:${mac}:more`,
    ]
    for (const text of changed) {
      const credential = Buffer.from(text).toString('base64url')
      assert.equal(credentials.verify(JOB, credential, NOW), false, text)
      assert.equal(credentials.verify(OTHER, credential, NOW), false, text)
    }
  })
})

describe('frames of live views', () => {
  it('are those of ComfyUI', () => {
    assert.deepEqual(JSON.parse(String(comfyFrame({ kind: 'progress', fraction: 0.257 }, 'p'))), {
      type: 'progress',
      data: { value: 25, max: 100, prompt_id: 'p' },
    })
    const image = Buffer.from([0xff, 0xd8, 0xff])
    const frame = comfyFrame(
      { kind: 'preview', mime: 'image/jpeg', image: image.toString('base64') },
      'p',
    )
    assert.deepEqual(frame, Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]), image]))
    assert.equal(comfyFrame({ kind: 'preview', mime: 'text/html', image: '' }, 'p'), undefined)
    assert.equal(
      JSON.parse(String(comfyFrame({ kind: 'ended', ok: false }, 'p'))).type,
      'execution_error',
    )
  })
})
