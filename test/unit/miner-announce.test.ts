import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Submission } from 'subreel/chain'
import { toBlockNumber, toNetuid } from 'subreel/protocol'
import { signerFromUri } from 'subreel/wallet'
import { silentLog } from '#src/lib/log.js'
import { ANNOUNCE_MS, keepAnnounced } from '#src/miner/announce.js'
import { FakeClock } from '../support/fake-clock.js'

it('a miner tells the chain where it is until the chain knows, and again when it has forgotten', async () => {
  const tooSoon = {
    outcome: 'refused',
    error: 'ServingRateLimitExceeded',
    action: 'wait',
    message: 'allowed again from block 60',
  } as const
  const included = { outcome: 'included', extrinsicHash: '0x', block: toBlockNumber(9) } as const
  const answers: (Submission | Error)[] = [
    tooSoon,
    new Error('every endpoint is gone'),
    included,
    { outcome: 'unchanged' },
    included,
  ]
  const clock = new FakeClock()
  const stop = new AbortController()
  let asked = 0
  const chain = {
    serveAxon: async () => {
      const answer = answers[asked] ?? { outcome: 'unchanged' as const }
      asked += 1
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const request = { netuid: toNetuid(1), ip: '203.0.113.5', port: 8091, version: 10_005_000 }
  const { tried, ended } = keepAnnounced(request, {
    ...{ chain, clock, signer: signerFromUri('//Bob'), log: silentLog(), signal: stop.signal },
  })
  await tried
  assert.equal(asked, 1)
  for (let looks = 2; looks <= answers.length; looks += 1) {
    await clock.advance(ANNOUNCE_MS)
    assert.equal(asked, looks)
  }
  stop.abort()
  await ended
})
