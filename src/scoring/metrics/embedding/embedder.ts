import type { RunResult, SessionManager } from '../session.js'
import { numbers } from '../session.js'

/** What a file looks and sounds like, as unit vectors of one embedder. */
export interface Embedding {
  readonly video: Float32Array
  /** Absent when the embedder is deaf or the file silent. */
  readonly audio: Float32Array | undefined
  /** Which provider truly ran: `cpu`, `cuda:0`. */
  readonly device: string
}

/** Turns files into vectors whose cosine says how alike they are. Names the models, for score records. */
export interface Embedder {
  /** Stable name, e.g. `efficientnet-lite0`. */
  readonly name: string
  readonly hears: boolean
  readonly models: readonly { readonly name: string; readonly sha256: string }[]
  embed(file: string, options?: { readonly signal?: AbortSignal }): Promise<Embedding>
  close(): Promise<void>
}

/** Cosine of two vectors of one length, -1–1; 0 when one has no length. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, lengthA, lengthB] = [0, 0, 0]
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0]
    dot += x * y
    lengthA += x * x
    lengthB += y * y
  }
  const product = Math.sqrt(lengthA * lengthB)
  return product === 0 ? 0 : Math.max(-1, Math.min(1, dot / product))
}

/** Mean of row vectors, each made unit first, and made unit again. `rows` is [count, width] flat. */
export function meanDirection(rows: Float32Array, width: number): Float32Array {
  const mean = new Float32Array(width)
  for (let start = 0; start + width <= rows.length; start += width) {
    const row = rows.subarray(start, start + width)
    const length = Math.hypot(...row) || 1
    for (let i = 0; i < width; i += 1) mean[i] = (mean[i] ?? 0) + (row[i] ?? 0) / length
  }
  const length = Math.hypot(...mean) || 1
  return mean.map((value) => value / length)
}

/** Runs a model item by item (each `itemSize` values) in batches that fit the device; rows joined. */
export async function runRows(
  sessions: SessionManager,
  model: string,
  input: {
    readonly name: string
    readonly type: 'uint8' | 'float32'
    readonly dims: readonly number[]
  },
  items: readonly ArrayBuffer[],
  bytesPerItem: number,
): Promise<{ readonly rows: Float32Array; readonly device: string }> {
  const batch = sessions.batchFor(bytesPerItem)
  const runs: Promise<RunResult>[] = []
  for (let start = 0; start < items.length; start += batch) {
    const part = items.slice(start, start + batch)
    const data = new Uint8Array(part.reduce((sum, item) => sum + item.byteLength, 0))
    let at = 0
    for (const item of part) {
      data.set(new Uint8Array(item), at)
      at += item.byteLength
    }
    const dims = [part.length, ...input.dims]
    runs.push(sessions.run(model, { [input.name]: { type: input.type, dims, data: data.buffer } }))
  }
  const results = await Promise.all(runs)
  const parts = results.map((result) => numbers(result, 'embedding'))
  const rows = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    rows.set(part, at)
    at += part.length
  }
  return { rows, device: [...new Set(results.map((result) => result.device))].join('+') }
}
