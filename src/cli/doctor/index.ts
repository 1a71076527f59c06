import { describeError } from '../../lib/errors.js'
import { openSigner } from '../../neuron/index.js'
import type { Signer } from '../../wallet/index.js'
import { chainCheck } from './chain.js'
import type { Check, CheckContext, CheckResult } from './check.js'
import { databaseCheck } from './database.js'
import { hardwareCheck } from './hardware.js'
import { clockCheck, diskCheck, ffmpegCheck, gpuCheck, nodeCheck, portsCheck } from './machine.js'
import { modelsCheck } from './models.js'
import { redisCheck } from './redis.js'
import { storeCheck } from './store.js'
import { walletCheck } from './wallet.js'

/** All checks, in the order they print. Add yours here. */
export const CHECKS: readonly Check[] = [
  nodeCheck,
  ffmpegCheck,
  redisCheck,
  storeCheck,
  databaseCheck,
  gpuCheck,
  modelsCheck,
  clockCheck,
  diskCheck,
  portsCheck,
  walletCheck,
  chainCheck,
  hardwareCheck,
]

export interface NamedResult extends CheckResult {
  readonly check: string
}

/** Runs the checks together; a check that throws is a failed one. */
export async function runChecks(
  checks: readonly Check[],
  given: Omit<CheckContext, 'signer'>,
): Promise<NamedResult[]> {
  let opening: Promise<Signer> | undefined
  const signer = () => {
    opening ??= openSigner(given.config, given.env)
    return opening
  }
  const context = { ...given, signer }
  const groups = await Promise.all(
    checks.map(async (check) => {
      try {
        return [await check.run(context)].flat().map((result) => ({ check: check.name, ...result }))
      } catch (error) {
        return [
          {
            check: check.name,
            status: 'fail' as const,
            message: describeError(error),
            fix: 'see the message',
          },
        ]
      }
    }),
  )
  return groups.flat()
}
