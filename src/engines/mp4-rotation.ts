import { open } from 'node:fs/promises'

const ONE = 0x10000
/** Matrix [a, b, c, d] of a clockwise turn, 16.16 fixed point (ISO 14496-12, 8.3.2). */
const TURNS: Readonly<Record<number, readonly [number, number, number, number]>> = {
  0: [ONE, 0, 0, ONE],
  90: [0, ONE, -ONE, 0],
  180: [-ONE, 0, 0, -ONE],
  270: [0, -ONE, ONE, 0],
}
const CONTAINERS = new Set(['moov', 'trak'])
const VERSION_0_MATRIX = 48
const VERSION_1_MATRIX = 60

interface File {
  read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }>
}

/** Positions of the track headers between `start` and `end`. */
async function trackHeaders(file: File, start: number, end: number): Promise<number[]> {
  const found: number[] = []
  const head = Buffer.alloc(16)
  for (let at = start; at + 8 <= end; ) {
    const { bytesRead } = await file.read(head, 0, 16, at)
    if (bytesRead < 8) break
    const short = head.readUInt32BE(0)
    const size = short === 1 ? Number(head.readBigUInt64BE(8)) : short === 0 ? end - at : short
    if (size < 8) break
    const type = head.toString('latin1', 4, 8)
    if (CONTAINERS.has(type)) found.push(...(await trackHeaders(file, at + 8, at + size)))
    if (type === 'tkhd') found.push(at)
    at += size
  }
  return found
}

/**
 * Marks the picture tracks of an MP4 file of ours as turned clockwise by `degrees` (0, 90, 180, 270),
 * in place. ffmpeg's options for this differ between its versions; the file format does not.
 */
export async function setMp4Rotation(path: string, degrees: number): Promise<void> {
  const turn = TURNS[degrees]
  if (turn === undefined) return
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    for (const at of await trackHeaders(file, 0, size)) {
      const header = Buffer.alloc(VERSION_1_MATRIX + 44)
      await file.read(header, 0, header.length, at)
      const matrix = header[8] === 1 ? VERSION_1_MATRIX : VERSION_0_MATRIX
      const width = header.readInt32BE(matrix + 36)
      const height = header.readInt32BE(matrix + 40)
      if (width === 0) continue
      const [a, b, c, d] = turn
      // The turned picture is moved back to where it began: right by what points left, and so on.
      const x = (a < 0 ? width : 0) + (c < 0 ? height : 0)
      const y = (b < 0 ? width : 0) + (d < 0 ? height : 0)
      for (const [index, value] of [a, b, 0, c, d, 0, x, y].entries()) {
        header.writeInt32BE(value, matrix + 4 * index)
      }
      await file.write(header, matrix, 32, at + matrix)
    }
  } finally {
    await file.close()
  }
}
