import { open } from 'node:fs/promises'
import { MediaError } from './errors.js'

/** Containers told apart by their first bytes. `text` covers playlists, SVG, HTML and SDP. */
export type SniffedFormat =
  | 'mp4'
  | 'matroska'
  | 'avi'
  | 'mpegts'
  | 'ogg'
  | 'wav'
  | 'flac'
  | 'mp3'
  | 'png'
  | 'jpeg'
  | 'webp'
  | 'gif'
  | 'ivf'
  | 'flv'
  | 'zip'
  | 'gzip'
  | 'pdf'
  | 'text'
  | 'unknown'

/** ffmpeg's demuxer names for what may be opened at all. Playlists and device formats are not among them. */
export const DEMUXERS: Readonly<Partial<Record<SniffedFormat, string>>> = {
  mp4: 'mov',
  matroska: 'matroska',
  avi: 'avi',
  mpegts: 'mpegts',
  ogg: 'ogg',
  wav: 'wav',
  flac: 'flac',
  mp3: 'mp3',
  png: 'png_pipe',
  jpeg: 'jpeg_pipe',
  webp: 'webp_pipe',
  gif: 'gif',
}

const ascii = (head: Uint8Array, from: number, to: number) =>
  Buffer.from(head.subarray(from, to)).toString('latin1')

const MP4_BOXES = new Set(['ftyp', 'moov', 'mdat', 'free', 'skip', 'wide', 'styp', 'pnot'])

/** What the first bytes (at least 400 for MPEG-TS) say the file is. Pure. */
export function sniff(head: Uint8Array): SniffedFormat {
  const four = ascii(head, 0, 4)
  if (MP4_BOXES.has(ascii(head, 4, 8))) return 'mp4'
  if (four === '\x1aE\xdf\xa3') return 'matroska'
  if (four === 'RIFF' && ascii(head, 8, 12) === 'AVI ') return 'avi'
  if (four === 'RIFF' && ascii(head, 8, 12) === 'WAVE') return 'wav'
  if (four === 'RIFF' && ascii(head, 8, 12) === 'WEBP') return 'webp'
  if (four === 'OggS') return 'ogg'
  if (four === 'fLaC') return 'flac'
  if (four === 'DKIF') return 'ivf'
  if (four === '\x89PNG') return 'png'
  if (four === 'GIF8') return 'gif'
  if (four === '%PDF') return 'pdf'
  if (ascii(head, 0, 3) === '\xff\xd8\xff') return 'jpeg'
  if (ascii(head, 0, 3) === 'FLV') return 'flv'
  if (ascii(head, 0, 3) === 'ID3' || (head[0] === 0xff && ((head[1] ?? 0) & 0xe6) === 0xe2)) {
    return 'mp3'
  }
  if (ascii(head, 0, 2) === 'PK') return 'zip'
  if (ascii(head, 0, 2) === '\x1f\x8b') return 'gzip'
  if (head[0] === 0x47 && head[188] === 0x47 && head[376] === 0x47) return 'mpegts'
  const printable = head.subarray(0, 256).every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13))
  return head.length > 0 && printable ? 'text' : 'unknown'
}

/** The format of a file on disk, refused unless its demuxer is on the list. Reads 512 bytes. */
export async function sniffFile(path: string): Promise<SniffedFormat> {
  const head = await readHead(path)
  if (head.length === 0) {
    throw new MediaError({ code: 'MEDIA_EMPTY', path }, 'the media file is empty')
  }
  const found = sniff(head)
  if (DEMUXERS[found] === undefined) {
    throw new MediaError(
      { code: 'MEDIA_FORMAT_REFUSED', path, found },
      `not an accepted media container: the first bytes look like ${found}`,
    )
  }
  return found
}

async function readHead(path: string): Promise<Buffer> {
  try {
    const file = await open(path, 'r')
    try {
      if (!(await file.stat()).isFile()) throw new Error('not a regular file')
      const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new MediaError(
      { code: 'MEDIA_NOT_FOUND', path },
      `cannot read ${path}: no such regular file or no permission`,
      { cause },
    )
  }
}
