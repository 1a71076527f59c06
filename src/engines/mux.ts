import {
  fileUrl,
  hostileInput,
  type MediaInfo,
  type MediaTools,
  runFfmpeg,
} from '../media/index.js'
import { setMp4Rotation } from './mp4-rotation.js'
import { soundArgs } from './sound.js'

/** The encoded picture and the sound of the source as one MP4, index in front, turned as the source was. */
export async function mux(
  picture: string,
  source: string,
  info: MediaInfo,
  output: string,
  options: MediaTools & { readonly signal: AbortSignal },
): Promise<void> {
  const sounding = info.audio !== undefined
  await runFfmpeg(
    [
      ...hostileInput(picture),
      ...(sounding ? hostileInput(source) : []),
      ...['-map', '0:v:0', ...(sounding ? ['-map', '1:a:0'] : [])],
      ...['-c:v', 'copy', ...soundArgs(info)],
      ...[
        '-map_metadata',
        '-1',
        '-movflags',
        '+faststart+write_colr',
        '-f',
        'mp4',
        fileUrl(output),
      ],
    ],
    options,
  )
  await setMp4Rotation(output, info.video?.rotation ?? 0)
}
