import type { VideoStreamInfo } from '../media/index.js'

/** Colour tags as ffmpeg names them; absent ones are not written. */
export interface ColorTags {
  readonly space: string | undefined
  readonly transfer: string | undefined
  readonly primaries: string | undefined
  readonly range: string | undefined
}

/** Colour tags of a stream; the same for a result, so that no player shows it differently. */
export function colorTagsOf(video: VideoStreamInfo): ColorTags {
  return {
    space: video.colorSpace,
    transfer: video.colorTransfer,
    primaries: video.colorPrimaries,
    range: video.colorRange,
  }
}

/** Colour tags as output options of ffmpeg. */
export function colorArgs(tags: ColorTags): readonly string[] {
  return [
    ...(tags.space === undefined ? [] : ['-colorspace', tags.space]),
    ...(tags.transfer === undefined ? [] : ['-color_trc', tags.transfer]),
    ...(tags.primaries === undefined ? [] : ['-color_primaries', tags.primaries]),
    ...(tags.range === undefined ? [] : ['-color_range', tags.range]),
  ]
}
