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
}

/** What a real low-resolution source has been through. */
export interface Degradation {
  /** Gaussian blur before scaling down, sigma in pixels of the source, 0–0.4: more would be repaired by plain sharpening. */
  readonly blur: number
  readonly scaler: 'bicubic' | 'bilinear' | 'area'
  /** x264 CRF of the low-resolution clip, 14–20. */
  readonly crf: number
}

/** A cut of a source, changed. */
export interface Cut {
  readonly startSeconds: number
  readonly seconds: number
  readonly variation: Variation
}
