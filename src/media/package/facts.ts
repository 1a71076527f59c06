import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { MediaError } from '../errors.js'
import { type ProbeOptions, probe } from '../probe.js'
import { entryName, type OutputFile } from './files.js'

/** What is true of one generated file: measured on the file, whatever the workflow was meant to make. */
export const fileFactsSchema = z.object({
  /** Its name in the package. */
  name: z.string(),
  sha256: z.string(),
  sizeBytes: z.number(),
  container: z.string().optional(),
  codec: z.string().optional(),
  width: z.number().optional(),
  height: z.number().optional(),
  frames: z.number().optional(),
  fps: z.number().optional(),
  durationSeconds: z.number().optional(),
  audioCodec: z.string().optional(),
  /** Code of the reason why ffprobe could say nothing of it. */
  unreadable: z.string().optional(),
})
export type FileFacts = z.output<typeof fileFactsSchema>

/** What a miner says of its work, beside the files. */
export const packageMetadataSchema = z.object({
  version: z.literal(1),
  promptId: z.string().optional(),
  /** Name of the device as ComfyUI reports it. A claim, as everything in a package is. */
  gpu: z.string().max(200).optional(),
  renderSeconds: z.number().optional(),
  files: z.array(fileFactsSchema),
})
export type PackageMetadata = z.output<typeof packageMetadataSchema>

/** Reads the truth off a file with ffprobe. A file it cannot read is described as such, not refused. */
export async function factsOf(file: OutputFile, options: ProbeOptions = {}): Promise<FileFacts> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file.path), hash)
  const base = {
    name: entryName(file),
    sha256: hash.digest('hex'),
    sizeBytes: file.sizeBytes,
  }
  try {
    const info = await probe(file.path, options)
    const { video, audio } = info
    return {
      ...base,
      container: info.container,
      durationSeconds: info.durationSeconds,
      ...(video === undefined
        ? {}
        : {
            codec: video.codec,
            width: video.width,
            height: video.height,
            frames: video.frames,
            fps: video.fps.num / video.fps.den,
          }),
      ...(audio === undefined ? {} : { audioCodec: audio.codec }),
    }
  } catch (error) {
    if (!(error instanceof MediaError) || error.code === 'MEDIA_TOOL_MISSING') throw error
    return { ...base, unreadable: error.code }
  }
}
