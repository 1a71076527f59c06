// A thousand windows among faults: how many were set. Ends with `N passed, N failed`.
// Usage: npm run bench -- chain-epochs [COUNT]
import { simulateEpochs } from '../support/chain-epochs.js'

const count = Number(process.argv[2] ?? 1_000)
const started = performance.now()
const { set, zeros, troubles } = await simulateEpochs(count)
const seconds = Math.round((performance.now() - started) / 1000)
console.log(
  `${set} of ${count} windows set, ${zeros} zero vectors, ${troubles} troubles, ${seconds} s`,
)
console.log(`${set} passed, ${count - set + zeros} failed`)
process.exitCode = set === count && zeros === 0 ? 0 : 1
