/**
 * The few messages of wandb_internal.proto (wandb 0.31.0) that a run needs, written by hand: a
 * protobuf library and its generated code would be many times their size.
 */

/** Values that charts are made of. */
export type Values = Readonly<Record<string, number | string>>

const VARINT = 0
const BYTES = 2

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt(value)
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest > 0n ? low | 0x80 : low)
  } while (rest > 0n)
  return Buffer.from(bytes)
}

const integer = (field: number, value: number): Buffer =>
  value === 0 ? Buffer.alloc(0) : Buffer.concat([varint((field << 3) | VARINT), varint(value)])

function nested(field: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([varint((field << 3) | BYTES), varint(body.length), body])
}

const text = (field: number, value: string): Buffer => nested(field, Buffer.from(value))

/** The oldest wandb that may read the file, as wandb 0.31.0 writes it. */
const MIN_CONSUMER = '0.70.0'
const PRODUCER = 'subreel'

const record = (num: number, ...parts: readonly Buffer[]): Buffer =>
  Buffer.concat([integer(1, num), ...parts])

/** Fields of HistoryItem and SummaryItem: the key is `nested_key`, the value JSON. */
const items = (field: number, values: Values): Buffer[] =>
  Object.entries(values).map(([key, value]) =>
    nested(field, text(2, key), text(16, JSON.stringify(value))),
  )

export interface RunInfo {
  readonly runId: string
  readonly project: string
  readonly name: string
  readonly host: string
  /** Unix milliseconds. */
  readonly startedAt: number
  readonly config: Values
}

export const header = (num: number): Buffer =>
  record(num, nested(21, nested(1, text(1, PRODUCER), text(2, MIN_CONSUMER))))

export function run(num: number, info: RunInfo): Buffer {
  const config = Object.entries({ _wandb: {}, ...info.config }).map(([key, value]) =>
    nested(1, text(1, key), text(16, JSON.stringify(value))),
  )
  const seconds = Math.floor(info.startedAt / 1000)
  const nanos = (info.startedAt % 1000) * 1_000_000
  return record(
    num,
    nested(
      17,
      text(1, info.runId),
      text(3, info.project),
      nested(4, ...config),
      text(8, info.name),
      text(13, info.host),
      nested(17, integer(1, seconds), integer(2, nanos)),
    ),
  )
}

export const history = (num: number, step: number, values: Values): Buffer =>
  record(num, nested(2, ...items(1, values), nested(2, integer(1, step))))

export const summary = (num: number, values: Values): Buffer =>
  record(num, nested(3, ...items(1, values)))

export const exit = (num: number, runtimeSeconds: number): Buffer =>
  record(num, nested(18, integer(2, runtimeSeconds)))
