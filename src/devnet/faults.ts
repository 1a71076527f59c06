import type { RuntimeModel, RuntimeOptions } from './runtime/runtime.js'

/** The faults a script can play; also as `dev_*` RPC methods. */
export interface Faults {
  /** Breaks all connections at once. */
  drop(): void
  /** Stops or resumes making blocks by the clock. */
  stall(on?: boolean): void
  /** Leaves sockets open and answers nothing. */
  blackhole(on?: boolean): void
  delay(ms: number): void
  /** Replaces the newest blocks by others. */
  fork(depth: number): void
  upgrade(runtime: RuntimeModel | RuntimeOptions): void
  /** The next handshakes get an HTTP status instead. */
  refuseHandshakes(times: number, status?: number): void
  /** The next calls (all, or those named) fail with an error of SubtensorModule. */
  refuseCalls(error: string, options?: { call?: string; times?: number }): void
  /** The next submissions get a JSON-RPC error. */
  refuseSubmissions(error: { code: number; message: string; data?: string; times?: number }): void
  clear(): void
}

/** Faults a test scripts. Each acts from the moment it is set until it is cleared. */
export interface FaultState {
  /** No blocks are made by the clock; RPC goes on answering. */
  stalled: boolean
  /** Sockets stay open, nothing is answered or pushed: a half-open connection. */
  blackholed: boolean
  /** Answers come this much later. */
  delayMs: number
  /** New connections are answered with this HTTP status instead of a WebSocket, this many times. */
  refuseHandshakes: { status: number; times: number }
  /** Extrinsics refused with an error name of SubtensorModule at dispatch, this many times. */
  refuseCalls: { error: string; call: string | undefined; times: number }[]
  /** Extrinsics refused by `author_submit*` with a JSON-RPC error, this many times. */
  refuseSubmissions: { code: number; message: string; data: string | undefined; times: number }[]
}

export const noFaults = (): FaultState => ({
  stalled: false,
  blackholed: false,
  delayMs: 0,
  refuseHandshakes: { status: 429, times: 0 },
  refuseCalls: [],
  refuseSubmissions: [],
})

/** Uses up one turn of the first entry that matches. */
export function takeTurn<T extends { times: number }>(
  list: T[],
  matches: (entry: T) => boolean,
): T | undefined {
  const index = list.findIndex((entry) => entry.times > 0 && matches(entry))
  const entry = list[index]
  if (entry === undefined) return undefined
  entry.times -= 1
  if (entry.times === 0) list.splice(index, 1)
  return entry
}
