import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isSendable } from '#src/chain/quantise.js'
import { pick, SeededRng } from '#src/lib/rng.js'
import { toNetuid, toUid } from '#src/protocol/units.js'
import { openState } from '#src/validator/state/open.js'
import { DatabaseWeightLedger } from '#src/validator/state/weights.js'
import {
  DISPATCH_REFUSALS,
  RATE_LIMIT_BLOCKS,
  SUBMISSION_REFUSALS,
} from '../support/chain-epochs.js'
import { advance, clientOf, miner, startTestnet, validator } from '../support/chain-harness.js'
import { weightRig } from '../support/weight-rig.js'

const EPOCHS = 200
/** An epoch on public networks has 360. */
const TEMPO = 20
const netuid = toNetuid(1)

it(`the weight duty hits ${EPOCHS} of ${EPOCHS} epochs while the chain refuses at random`, async () => {
  const rng = new SeededRng('two hundred epochs')
  const signal = new AbortController().signal
  const db = await openState(':memory:')
  await using net = await startTestnet({
    tempo: TEMPO,
    weightsRateLimit: RATE_LIMIT_BLOCKS,
  })
  net.advance(20)
  await using chain = clientOf([net], {
    ledger: new DatabaseWeightLedger(db),
    // Blocks are made by hand here: who waits for the next one need not wait long.
    blockTimeMs: 20,
  })
  const { network, sync, duty, score } = weightRig(db, chain, netuid, validator)
  const heads = chain.watchHeads((head) => network.sawHead(head))
  try {
    await sync.run(signal)
    score(miner.address, 1, 1, 0.5)
    const hit = new Set<number>()
    const missed: string[] = []
    let refused = 0
    const first = (await chain.epoch(netuid)).index
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
      const chance = rng.float()
      const times = 1 + rng.int(3)
      if (chance < 0.2) net.faults.refuseSubmissions({ ...pick(rng, SUBMISSION_REFUSALS), times })
      else if (chance < 0.35) net.faults.refuseCalls(pick(rng, DISPATCH_REFUSALS), { times })
      if (chance < 0.35) refused += 1
      // Now and then somebody is scored, or poison reaches the ledger.
      if (rng.float() < 0.3) score(miner.address, 1, 100 * epoch, pick(rng, [0, Number.NaN, 0.7]))
      const { index, block: opened } = await chain.epoch(netuid)
      const story: string[] = []
      for (;;) {
        const result = await duty.run(signal)
        story.push('skipped' in result ? result.skipped : 'done')
        const lastUpdate = (await chain.metagraph(netuid)).neurons[0]?.lastUpdate ?? 0
        const now = await chain.epoch(netuid)
        if (lastUpdate >= opened && now.index === index) hit.add(index)
        if (hit.has(index) || now.index !== index) {
          if (now.index === index) await advance(chain, net, now.blocksUntilNext + 1)
          break
        }
        await advance(chain, net, 1)
      }
      if (!hit.has(index)) missed.push(`${epoch}: ${story.join(', ')}`)
      const stored = [...(await chain.weights(netuid, toUid(0))).values()]
      assert.ok(isSendable(stored), `epoch ${epoch}: ${stored.join()}`)
    }
    assert.ok(refused > EPOCHS / 5, `${refused} epochs with refusals`)
    assert.deepEqual(missed, [])
    assert.equal(hit.size, EPOCHS)
    assert.equal((await chain.epoch(netuid)).index - first, EPOCHS)
  } finally {
    heads.close()
    await db.destroy()
  }
})
