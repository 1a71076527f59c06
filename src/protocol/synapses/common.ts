import { z } from 'zod'

/** A semantic version as three ints; the reference subnets send it along and never read it. */
export const VersionSchema = z.object({ major: z.int(), minor: z.int(), patch: z.int() })
export type Version = z.output<typeof VersionSchema>

/** Longest URL taken from a peer: presigned ones with session tokens reach 3 kB. */
export const URL_MAX_CHARS = 8192
/** Most videos in one task. */
export const VIDEOS_MAX = 64

export const urlText = z.string().max(URL_MAX_CHARS)
export const urlList = z.array(urlText).max(VIDEOS_MAX)

/**
 * Keeps a scalar field and its list form in step, whichever the peer sent: an empty list becomes the
 * scalar (if it says anything), else the scalar becomes the first of the list.
 */
export function inStep<T>(scalar: T, list: readonly T[]): { scalar: T; list: T[] } {
  const [first] = list
  if (first !== undefined) return { scalar: first, list: [...list] }
  return { scalar, list: scalar === '' || scalar === undefined ? [] : [scalar] }
}

/** As inStep, with the list filled up to one entry per video by the scalar. */
export function perVideo<T>(
  scalar: T,
  list: readonly T[],
  videos: number,
): { scalar: T; list: T[] } {
  const both = inStep(scalar, list)
  while (both.list.length < videos) both.list.push(both.scalar)
  return both
}

/** Result URLs in both forms. Entries may be "": a video that failed. */
export const MinerResponseSchema = z
  .object({
    optimized_video_urls: urlList.default([]),
    optimized_video_url: urlText.default(''),
  })
  .overwrite((response) => {
    const urls = inStep(response.optimized_video_url, response.optimized_video_urls)
    return { ...response, optimized_video_url: urls.scalar, optimized_video_urls: urls.list }
  })
export type MinerResponse = z.output<typeof MinerResponseSchema>
