import type { MediaInfo } from '../media/index.js'

/** Codecs that MP4 carries as they are, with every ffmpeg since 5. */
const MP4_SOUND = new Set(['aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac'])

/** How sound gets into an MP4: copied where the container takes it, else AAC at a generous rate. */
export function soundArgs(info: MediaInfo): readonly string[] {
  if (info.audio === undefined) return []
  return MP4_SOUND.has(info.audio.codec) ? ['-c:a', 'copy'] : ['-c:a', 'aac', '-b:a', '256k']
}
