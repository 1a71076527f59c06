import { parentPort } from 'node:worker_threads'
import { type VerifyInput, verifySignature } from './verifier.js'

/** Runs in a thread of the verifier pool: a batch of checks in, one byte per check out. */
parentPort?.on('message', (batch: readonly VerifyInput[]) => {
  parentPort?.postMessage(Uint8Array.from(batch, (input) => (verifySignature(input) ? 1 : 0)))
})
