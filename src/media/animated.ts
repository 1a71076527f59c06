import { open } from 'node:fs/promises'
import type { SniffedFormat } from './sniff.js'

/** More chunks than this before the picture itself are not looked at. */
const MAX_CHUNKS = 1000

/**
 * Whether an image file announces more than one picture: APNG by its acTL chunk, WebP by the flag of its
 * header. GIF has no such word; its frames must be counted. Readers that take all frames would
 * otherwise take thousands from a file of a few kilobytes.
 */
export async function isAnimated(path: string, format: SniffedFormat): Promise<boolean> {
  if (format !== 'png' && format !== 'webp') return false
  await using file = await open(path, 'r')
  const head = Buffer.alloc(21)
  if (format === 'webp') {
    await file.read(head, 0, 21, 0)
    return head.toString('latin1', 12, 16) === 'VP8X' && ((head[20] ?? 0) & 2) !== 0
  }
  let at = 8
  for (let chunks = 0; chunks < MAX_CHUNKS; chunks += 1) {
    const { bytesRead } = await file.read(head, 0, 8, at)
    const type = head.toString('latin1', 4, 8)
    if (bytesRead < 8 || type === 'IDAT') return false
    if (type === 'acTL') return true
    at += head.readUInt32BE(0) + 12
  }
  return true
}
