import type { Event, Runtime } from '../runtime/runtime.js'
import type { View } from '../state/view.js'

/** What a pallet works on while one block is made. */
export interface Context {
  readonly runtime: Runtime
  readonly state: View
  /** The block being made. */
  readonly block: number
  readonly emit: (event: Event) => void
}

/** A call's own error: rolls the call back and is reported under this name. */
export class Refusal extends Error {
  readonly pallet: string
  readonly error: string

  constructor(error: string, pallet = 'SubtensorModule') {
    super(`${pallet}.${error}`)
    this.pallet = pallet
    this.error = error
  }
}

/** @throws Refusal with this error of SubtensorModule unless `condition` */
export function ensure(condition: boolean, error: string): asserts condition {
  if (!condition) throw new Refusal(error)
}

export const emitSubtensor = (context: Context, name: string, ...values: unknown[]): void =>
  context.emit({ pallet: 'SubtensorModule', name, values })
