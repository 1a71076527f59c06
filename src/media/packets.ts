import type { MediaCallOptions } from './ffmpeg.js'
import { runFfprobe } from './probe.js'

export interface Packet {
  readonly sizeBytes: number
  /** Whether decoding can begin here. */
  readonly key: boolean
}

/** The packets of the picture of a file, in the order of decoding. */
export async function listPackets(
  file: string,
  options: MediaCallOptions = {},
): Promise<readonly Packet[]> {
  const shown = ['-select_streams', 'v:0', '-show_entries', 'packet=size,flags', '-of', 'csv=p=0']
  const text = await runFfprobe(file, shown, options)
  return text
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => ({ sizeBytes: Number.parseInt(line, 10), key: line.includes('K') }))
}
