import type { GateOutcome } from '../types.js'

/** Checks of a generated result before any model looks at it. */
export const GENERATION_GATES = {
  package: 'The result is a file or a package that can be read, with outputs.json in a package.',
  files: 'Every node saved as many files as in the rerun.',
  readable: 'Every file that can be read in the rerun can be read in the result.',
  shape: 'Pictures have the size, clips the frames and the frame rate of the rerun.',
  sound: 'There is sound where the rerun has sound.',
} as const

export function generationGate(
  code: keyof typeof GENERATION_GATES,
  passed: boolean,
  detail: string,
): GateOutcome {
  return { code, passed, detail }
}
