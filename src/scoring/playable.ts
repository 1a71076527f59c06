import { dirname } from 'node:path'
import { tempFolder } from '../lib/temp-folder.js'
import { decodedFrameCount, MediaError, type MediaTools, probe } from '../media/index.js'
import { isPackage, readPackage } from '../media/package/index.js'

export interface Playable {
  readonly ok: boolean
  /** One sentence; why not, when not. */
  readonly reason: string
  readonly durationSeconds: number | undefined
  /** Frames × width × height. */
  readonly pixels?: number
}

/**
 * Whether a file is a video that a player would show: a readable container with frames that decode.
 * A package of generated files is one when it holds such a video.
 */
export async function checkPlayable(
  path: string,
  tools: MediaTools,
  signal: AbortSignal,
): Promise<Playable> {
  await using dir = await tempFolder('package-', dirname(path))
  const { path: _, ...playable } = await findPlayable(path, dir.path, tools, signal)
  return playable
}

/** The file itself, or the first file of a package, that a player would show; unpacks into `dir`. */
export async function findPlayable(
  path: string,
  dir: string,
  tools: MediaTools,
  signal: AbortSignal,
): Promise<Playable & { readonly path: string }> {
  try {
    const files = (await isPackage(path))
      ? (await readPackage(path, dir, { signal })).files
      : [{ path }]
    const seen: (Playable & { readonly path: string })[] = []
    for (const file of files) {
      const found = { path: file.path, ...(await checkVideo(file.path, tools, signal)) }
      if (found.ok) return found
      seen.push(found)
    }
    return seen[0] ?? { path, ...refuse('an empty package') }
  } catch (error) {
    if (error instanceof MediaError && !signal.aborted) return { path, ...refuse(error.message) }
    throw error
  }
}

const refuse = (reason: string): Playable => ({ ok: false, reason, durationSeconds: undefined })

async function checkVideo(path: string, tools: MediaTools, signal: AbortSignal): Promise<Playable> {
  try {
    const info = await probe(path, { ...tools, signal })
    if (info.video === undefined) return refuse('the file has no video stream')
    const frames = await decodedFrameCount(path, { ...tools, signal })
    if (frames === 0) return refuse('no frame of the file can be decoded')
    const { width, height } = info.video
    const reason = `${frames} frames decode`
    const pixels = frames * width * height
    return { ok: true, reason, durationSeconds: info.durationSeconds, pixels }
  } catch (error) {
    if (error instanceof MediaError && !signal.aborted) return refuse(error.message)
    throw error
  }
}
