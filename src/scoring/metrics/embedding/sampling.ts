/** Indexes of at most `count` frames in the middles of equal parts of `frames`; distinct, rising. */
export function spreadFrames(frames: number, count: number): number[] {
  const parts = Math.max(1, Math.min(frames, count))
  return Array.from({ length: parts }, (_, i) => Math.floor(((i + 0.5) * frames) / parts))
}

export interface ClipTime {
  readonly startSeconds: number
  readonly endSeconds: number
}

/**
 * `clips` pieces of `clipSeconds`, starts spread evenly from 0 to the last that fits; a shorter file gives the
 * same piece each time (pytorchvideo, ConstantClipsPerVideoSampler).
 */
export function clipTimes(durationSeconds: number, clipSeconds: number, clips: number): ClipTime[] {
  const last = Math.max(0, durationSeconds - clipSeconds)
  return Array.from({ length: clips }, (_, i) => {
    const startSeconds = (last / Math.max(1, clips - 1)) * i
    return { startSeconds, endSeconds: startSeconds + clipSeconds }
  })
}

/**
 * Indexes of the frames that stand for a clip: `samples` spread over the frames from its start to before its
 * end, first and last included (UniformTemporalSubsample over decord's frames). Empty past the end.
 */
export function clipFrames(time: ClipTime, fps: number, frames: number, samples: number): number[] {
  const first = Math.ceil(fps * time.startSeconds)
  const end = Math.min(frames, Math.ceil(fps * time.endSeconds))
  if (end <= first) return []
  return Array.from({ length: samples }, (_, i) => {
    const share = samples === 1 ? 0 : i / (samples - 1)
    return first + Math.min(end - first - 1, Math.floor(share * (end - first - 1)))
  })
}
