import type { NodeFailure } from './messages.js'

const TYPES = /OutOfMemory/i
const MESSAGES =
  /out of memory|not enough memory: you tried to allocate|failed to allocate .* bytes/i

/** Whether a node failed for want of memory: PyTorch's own type, or what other allocators say. */
export function isOutOfMemory(failure: NodeFailure): boolean {
  return TYPES.test(failure.exceptionType) || MESSAGES.test(failure.exceptionMessage)
}
