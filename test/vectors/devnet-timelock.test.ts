import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openTimelocked } from '#src/devnet/drand/timelock.js'

const read = <T>(name: string): T =>
  JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/timelock/${name}`, import.meta.url), 'utf8'),
  ) as T

// test/fixtures/timelock: commits of bittensor_drand 2.0.0 and published quicknet signatures.
const { rounds } = read<{ rounds: { round: number; signature: string }[] }>('quicknet.json')
const signatures = new Map(rounds.map(({ round, signature }) => [round, signature]))
const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const signatureOf = (round: number): Buffer => hex(signatures.get(round) ?? '')

test('commits of the Python SDK open with the signature of their round', () => {
  const commits = read<{ commit: string; payload: string; reveal_round: number }[]>('commits.json')
  assert.ok(commits.length > 0)
  commits.forEach(({ commit, payload, reveal_round }, i) => {
    const opened = openTimelocked(hex(commit), signatureOf(reveal_round))
    assert.equal(Buffer.from(opened).toString('hex'), payload, `commit ${i}`)
  })
})

test('a commit does not open with another round, nor damaged', () => {
  const [first] = read<{ commit: string; reveal_round: number }[]>('commits.json')
  assert.ok(first)
  const other = first.reveal_round === 1000 ? 2000 : 1000
  assert.throws(() => openTimelocked(hex(first.commit), signatureOf(other)))
  const damaged = hex(first.commit)
  damaged[250] = (damaged[250] ?? 0) ^ 1
  assert.throws(() => openTimelocked(damaged, signatureOf(first.reveal_round)))
  assert.throws(() => openTimelocked(hex(first.commit).subarray(0, 90), signatureOf(1000)))
})
