import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** Size and sha256 (lower-case hex) of a file, in one pass. */
export async function hashFile(
  path: string,
  signal?: AbortSignal,
): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const options = { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) }
  for await (const chunk of createReadStream(path, options) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    sizeBytes += chunk.length
  }
  return { sizeBytes, sha256: hash.digest('hex') }
}
