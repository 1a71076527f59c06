// Windows among faults, a thousand in the open and a thousand sealed: how many were set. Ends with
// `N passed, N failed`. Usage: npm run bench -- chain-epochs [COUNT] [open] [sealed]
import { simulateEpochs } from '../support/chain-epochs.js'

const [count = 1_000] = process.argv.slice(2).map(Number).filter(Number.isInteger)
const named = (['open', 'sealed'] as const).filter((mode) => process.argv.includes(mode))
let passed = 0
let failed = 0
for (const mode of named.length > 0 ? named : (['open', 'sealed'] as const)) {
  const started = performance.now()
  const { set, zeros, changes, troubles } = await simulateEpochs(count, mode)
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${mode}: ${set} of ${count} windows set, ${zeros} zero vectors, ${changes} vectors held, ` +
      `${troubles} troubles, ${seconds} s`,
  )
  passed += set
  failed += count - set + zeros
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
