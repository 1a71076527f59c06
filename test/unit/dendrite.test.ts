import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classify } from '#src/dendrite/failure.js'
import { SenderIds } from '#src/dendrite/senders.js'
import { SeededRng } from '#src/lib/rng.js'

const where = { place: '203.0.113.9:8091/Synapse', inBody: false }
const withCode = (code: string, inBody = false) => {
  const { kind, status } = classify(Object.assign(new Error('x'), { code }), { ...where, inBody })
  return [kind, status]
}

describe('failures of the transport', () => {
  it('are numbered as the Python dendrite numbers them', () => {
    assert.deepEqual(withCode('ECONNREFUSED'), ['unreachable', 503])
    assert.deepEqual(withCode('EHOSTUNREACH'), ['unreachable', 503])
    assert.deepEqual(withCode('ECONNRESET'), ['bad-reply', 422])
    assert.deepEqual(withCode('UND_ERR_SOCKET'), ['disconnected', 503])
    assert.deepEqual(withCode('UND_ERR_SOCKET', true), ['bad-reply', 400])
    assert.deepEqual(withCode('UND_ERR_RES_CONTENT_LENGTH_MISMATCH', true), ['bad-reply', 400])
    assert.deepEqual(withCode('UND_ERR_HEADERS_OVERFLOW'), ['bad-reply', 400])
    assert.deepEqual(withCode('ANYTHING_ELSE'), ['bad-reply', 422])
  })

  it('are our own when this machine is out of sockets or memory, and never for an odd address', () => {
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL']) {
      assert.deepEqual(withCode(code), ['local', 503], code)
    }
    assert.deepEqual(withCode('ENETUNREACH'), ['unreachable', 503])
  })

  it('are found behind wrappers', () => {
    const inner = Object.assign(new Error('inner'), { code: 'ECONNREFUSED' })
    assert.equal(classify(new Error('outer', { cause: inner }), where).kind, 'unreachable')
  })
})

describe('sender ids', () => {
  it('are RFC 9562 version 4, distinct while borrowed, and used again', () => {
    const ids = new SenderIds(new SeededRng('ids'))
    const first = ids.take()
    const second = ids.take()
    assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.notEqual(first, second)
    ids.give(first)
    assert.equal(ids.take(), first)
  })
})
