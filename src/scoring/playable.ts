import { decodedFrameCount, MediaError, type MediaTools, probe } from '../media/index.js'

export interface Playable {
  readonly ok: boolean
  /** One sentence; why not, when not. */
  readonly reason: string
  readonly durationSeconds: number | undefined
}

/** Whether a file is a video that a player would show: a readable container with frames that decode. */
export async function checkPlayable(
  path: string,
  tools: MediaTools,
  signal: AbortSignal,
): Promise<Playable> {
  const refuse = (reason: string): Playable => ({ ok: false, reason, durationSeconds: undefined })
  try {
    const info = await probe(path, { ...tools, signal })
    if (info.video === undefined) return refuse('the file has no video stream')
    const frames = await decodedFrameCount(path, { ...tools, signal })
    if (frames === 0) return refuse('no frame of the file can be decoded')
    return { ok: true, reason: `${frames} frames decode`, durationSeconds: info.durationSeconds }
  } catch (error) {
    if (error instanceof MediaError && !signal.aborted) return refuse(error.message)
    throw error
  }
}
