import assert from 'node:assert/strict'
import { it } from 'node:test'
import { simulateEpochs } from '../support/chain-epochs.js'

/** `npm run bench -- chain-epochs` runs a thousand. */
const EPOCHS = 60

it(`sets weights in ${EPOCHS} of ${EPOCHS} windows among refusals, lost endpoints and an upgrade`, async () => {
  const { set, zeros, troubles } = await simulateEpochs(EPOCHS)
  assert.ok(troubles > EPOCHS / 10, `${troubles} troubles made`)
  assert.equal(set, EPOCHS)
  assert.equal(zeros, 0)
})
