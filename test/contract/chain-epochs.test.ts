import assert from 'node:assert/strict'
import { it } from 'node:test'
import { simulateEpochs } from '../support/chain-epochs.js'

/** `npm run bench -- chain-epochs` runs a thousand of each. */
const EPOCHS = 40

for (const mode of ['open', 'sealed'] as const) {
  it(`sets ${mode} weights in ${EPOCHS} of ${EPOCHS} windows among refusals, lost endpoints and an upgrade`, async () => {
    const { set, zeros, changes, troubles } = await simulateEpochs(EPOCHS, mode)
    assert.ok(troubles > EPOCHS / 10, `${troubles} troubles made`)
    assert.equal(set, EPOCHS)
    assert.equal(zeros, 0)
    assert.ok(changes > EPOCHS / 4, `${changes} vectors came to be held`)
  })
}
