import { crc32 } from 'node:zlib'

/**
 * The container of a `.wandb` file: seven bytes of head, then records in LevelDB's log format, in
 * blocks of 32 KiB (wandb 0.31.0, core/pkg/leveldb/record; it wrote test/fixtures/wandb/golden.wandb).
 */
export const WANDB_HEAD: Buffer = Buffer.from([...Buffer.from(':W&B'), 0xe1, 0xbe, 0])
const BLOCK_BYTES = 32_768
const CHUNK_HEAD_BYTES = 7
/** Types of chunks, by whether they begin and whether they end a record. */
const TYPES = { whole: 1, first: 2, middle: 3, last: 4 } as const

/** Cuts records into chunks; remembers how long the file is. */
export class ChunkWriter {
  #offset = WANDB_HEAD.length

  /** The bytes that add one record to the file. */
  encode(record: Buffer): Buffer {
    const parts: Buffer[] = []
    let begins = true
    let rest = record
    do {
      let left = BLOCK_BYTES - (this.#offset % BLOCK_BYTES)
      if (left < CHUNK_HEAD_BYTES) {
        // Too little for a head: the rest of the block stays empty.
        parts.push(Buffer.alloc(left))
        this.#offset += left
        left = BLOCK_BYTES
      }
      const data = rest.subarray(0, left - CHUNK_HEAD_BYTES)
      rest = rest.subarray(data.length)
      const ends = rest.length === 0
      const type = begins ? (ends ? 'whole' : 'first') : ends ? 'last' : 'middle'
      parts.push(chunk(TYPES[type], data))
      this.#offset += CHUNK_HEAD_BYTES + data.length
      begins = false
    } while (rest.length > 0)
    return Buffer.concat(parts)
  }
}

function chunk(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(CHUNK_HEAD_BYTES)
  head.writeUInt32LE(crc32(data, crc32(Buffer.from([type]))), 0)
  head.writeUInt16LE(data.length, 4)
  head[6] = type
  return Buffer.concat([head, data])
}
