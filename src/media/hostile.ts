import { resolve } from 'node:path'
import { DEMUXERS } from './sniff.js'

/** Largest picture decoded, in pixels: 8K (33 million) fits. */
export const MAX_PIXELS = 40_000_000
/** Largest single allocation of libav, in bytes. */
export const MAX_ALLOC_BYTES = 268_435_456

const FORMATS = [...new Set(Object.values(DEMUXERS))].join(',')

/** Options that come first on every ffmpeg or ffprobe command line. */
export const GLOBAL_FLAGS: readonly string[] = ['-max_alloc', String(MAX_ALLOC_BYTES)]

/** A path that ffmpeg takes as a plain file, whatever characters are in it. */
export function fileUrl(path: string): string {
  return `file:${resolve(path)}`
}

/**
 * Input options for a file of unknown origin, and the file itself: only local files, only listed
 * demuxers, bounded pictures. `extra` goes before `-i` and must not come from outside.
 */
export function hostileInput(path: string, extra: readonly string[] = []): string[] {
  return [
    '-protocol_whitelist',
    'file',
    '-format_whitelist',
    FORMATS,
    '-max_pixels',
    String(MAX_PIXELS),
    ...extra,
    '-i',
    fileUrl(path),
  ]
}
