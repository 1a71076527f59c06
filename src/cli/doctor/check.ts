import type { Config } from '../../config/index.js'
import type { Signer } from '../../wallet/index.js'

export type CheckStatus = 'ok' | 'warn' | 'fail'

export interface CheckResult {
  readonly status: CheckStatus
  /** What was found. */
  readonly message: string
  /** What to do, when not ok. */
  readonly fix?: string
}

export interface CheckContext {
  readonly config: Config
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  /** The hotkey, opened once for all checks. @throws WalletError */
  readonly signer: () => Promise<Signer>
  /** True with `--gpu`: the slow comparison of CPU and GPU scores is wanted. */
  readonly gpu: boolean
}

/** One line of `subreel doctor`; may give several results (one per port, one per key file). */
export interface Check {
  readonly name: string
  run(context: CheckContext): Promise<CheckResult | readonly CheckResult[]>
}

export const ok = (message: string): CheckResult => ({ status: 'ok', message })
export const warn = (message: string, fix: string): CheckResult => ({
  status: 'warn',
  message,
  fix,
})
export const fail = (message: string, fix: string): CheckResult => ({
  status: 'fail',
  message,
  fix,
})
