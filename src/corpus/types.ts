/** A clip of the corpus. */
export interface CorpusClip {
  /** Stable name: two validators with the same corpus must agree on it. */
  readonly id: string
  readonly durationSeconds: number
  readonly width: number
  readonly height: number
}

/** How a source is changed so that no clip is used twice. */
export interface Variation {
  readonly mirror: boolean
  /** Share of width and height cut away around a window, 0–0.1. */
  readonly crop: number
  /** Where the window sits, 0–1 in each direction. */
  readonly cropX: number
  readonly cropY: number
  /** Degrees, −12…12. */
  readonly hue: number
  /** 0.92–1.08 */
  readonly saturation: number
  /** −0.03…0.03 */
  readonly brightness: number
  /** Strength of added grain, 0–4. */
  readonly grain: number
  /** Seed of the grain. */
  readonly grainSeed: number
  /** 0.9–1.1 */
  readonly speed: number
  /** Part of another clip laid over this one, in some challenges. */
  readonly overlay?: Overlay
}

/** A second clip within the picture. */
export interface Overlay {
  readonly clipId: string
  readonly startSeconds: number
  /** Share of the picture's width, 0.2–0.45. */
  readonly size: number
  /** Where it lies, 0–1 in each direction. */
  readonly x: number
  readonly y: number
}

/** What a real low-resolution source has been through, in this order. */
export interface Degradation {
  /** Gaussian blur before scaling down, sigma in pixels of the source, 0–0.4: more would be repaired by plain sharpening. */
  readonly blur: number
  readonly scaler: 'bicubic' | 'bilinear' | 'area'
  /** Luma noise of a small sensor, 0–1.5: more would be left in by honest upscalers. */
  readonly noise: number
  readonly noiseSeed: number
  /** An older encode that the clip went through before; absent in most. */
  readonly before?: { readonly codec: 'mpeg4' | 'mpeg2video'; readonly quality: number }
  /** x264 CRF of the low-resolution clip, 14–20. */
  readonly crf: number
}

/** A cut of a source, changed. */
export interface Cut {
  readonly startSeconds: number
  readonly seconds: number
  readonly variation: Variation
}
