/** Facts of a media file, from ffprobe and, for `frames`, from counting. */
export interface MediaInfo {
  /** ffprobe's format_name list, e.g. `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly container: string
  /** Of MP4 and its relatives: `isom`, `mp42` …; `qt` of QuickTime, `3gp4` … of 3GP. */
  readonly majorBrand: string | undefined
  readonly durationSeconds: number
  readonly sizeBytes: number
  readonly video: VideoStreamInfo | undefined
  readonly audio:
    | { readonly codec: string; readonly channels: number; readonly sampleRate: number }
    | undefined
}

export interface VideoStreamInfo {
  readonly codec: string
  readonly profile: string | undefined
  readonly width: number
  readonly height: number
  readonly pixelFormat: string
  readonly bitDepth: number
  /** Average frame rate as a fraction. */
  readonly fps: { readonly num: number; readonly den: number }
  /** Whether the average is the nominal rate too: no frame is held longer than another. */
  readonly evenlySpaced: boolean
  /** Packets counted; the decoded count where the caller asked for it. */
  readonly frames: number
  /** `1:1` when square or unknown. */
  readonly sampleAspectRatio: string
  /** Degrees clockwise: 0, 90, 180, 270. */
  readonly rotation: number
  readonly colorSpace: string | undefined
  readonly colorTransfer: string | undefined
  readonly colorPrimaries: string | undefined
  readonly colorRange: string | undefined
  readonly bitrateKbps: number | undefined
}
