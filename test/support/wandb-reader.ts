import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'

const BLOCK_BYTES = 32_768
const HEAD_BYTES = 7

/** The records of a .wandb file, every checksum checked: written from LevelDB's description of its logs. */
export function* readRecords(file: Buffer): Generator<Buffer> {
  assert.equal(file.subarray(0, 4).toString(), ':W&B')
  assert.equal(file.readUInt16LE(4), 0xbee1)
  let parts: Buffer[] = []
  for (let at = HEAD_BYTES; at < file.length; ) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEAD_BYTES) {
      at += left
      continue
    }
    const [sum, length, type] = [
      file.readUInt32LE(at),
      file.readUInt16LE(at + 4),
      file[at + 6] ?? 0,
    ]
    const data = file.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
    assert.equal(crc32(data, crc32(Buffer.from([type]))), sum, `checksum at ${at}`)
    assert.equal(parts.length === 0, type === 1 || type === 2, `a record begins at ${at}`)
    parts.push(data)
    if (type === 1 || type === 4) {
      yield Buffer.concat(parts)
      parts = []
    }
    at += HEAD_BYTES + length
  }
  assert.equal(parts.length, 0, 'the last record is whole')
}

/** Fields of a protobuf message: numbers for varints, bytes for the rest. */
export function fieldsOf(message: Buffer): Map<number, (number | Buffer)[]> {
  const fields = new Map<number, (number | Buffer)[]>()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at] ?? 0
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(value)
    }
  }
  while (at < message.length) {
    const tag = varint()
    const isBytes = (tag & 7) === 2
    const value = varint()
    const found = isBytes ? message.subarray(at, at + value) : value
    if (isBytes) at += value
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), found])
  }
  return fields
}

const HISTORY = 2

/** What a file logged: one object for each step, as charts show it. */
export function historyOf(file: Buffer): Record<string, unknown>[] {
  const steps: Record<string, unknown>[] = []
  for (const record of readRecords(file)) {
    const [history] = fieldsOf(record).get(HISTORY) ?? []
    if (!Buffer.isBuffer(history)) continue
    const items = (fieldsOf(history).get(1) ?? []).map((item): [string, unknown] => {
      const fields = fieldsOf(item as Buffer)
      const [key, json] = [fields.get(2)?.[0] ?? fields.get(1)?.[0], fields.get(16)?.[0]]
      return [String(key), JSON.parse(String(json))]
    })
    steps.push(Object.fromEntries(items))
  }
  return steps
}

/** Which kinds of records a file holds, by their field numbers, in order. */
export const kindsOf = (file: Buffer): number[] =>
  [...readRecords(file)].map((record) => {
    const kinds = [...fieldsOf(record).keys()].filter(
      (field) => field > 1 && field < 24 && field !== 16,
    )
    return kinds[0] ?? 0
  })
