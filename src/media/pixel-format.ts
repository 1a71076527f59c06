/** Raw layouts that pipes carry: bytes per sample and, for each plane, how often each axis is halved. */
const LAYOUTS = {
  gray: { bytes: 1, planes: [[0, 0]], samples: 1 },
  gray10le: { bytes: 2, planes: [[0, 0]], samples: 1 },
  yuv420p: {
    bytes: 1,
    planes: [
      [0, 0],
      [1, 1],
      [1, 1],
    ],
    samples: 1,
  },
  yuv420p10le: {
    bytes: 2,
    planes: [
      [0, 0],
      [1, 1],
      [1, 1],
    ],
    samples: 1,
  },
  yuv422p: {
    bytes: 1,
    planes: [
      [0, 0],
      [1, 0],
      [1, 0],
    ],
    samples: 1,
  },
  yuv444p: {
    bytes: 1,
    planes: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    samples: 1,
  },
  yuv444p10le: {
    bytes: 2,
    planes: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    samples: 1,
  },
  gbrp: {
    bytes: 1,
    planes: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    samples: 1,
  },
  rgb24: { bytes: 1, planes: [[0, 0]], samples: 3 },
  rgba: { bytes: 1, planes: [[0, 0]], samples: 4 },
  rgb48le: { bytes: 2, planes: [[0, 0]], samples: 3 },
} as const satisfies Record<
  string,
  { bytes: number; planes: readonly (readonly [number, number])[]; samples: number }
>

export type PixelFormat = keyof typeof LAYOUTS
export const PIXEL_FORMATS = Object.keys(LAYOUTS) as readonly PixelFormat[]

/** Bytes of one raw frame; chroma of odd sizes is rounded up, as ffmpeg does. */
export function frameBytes(pixelFormat: PixelFormat, width: number, height: number): number {
  const layout = LAYOUTS[pixelFormat]
  let samples = 0
  for (const [halveX, halveY] of layout.planes) {
    samples += Math.ceil(width / (1 << halveX)) * Math.ceil(height / (1 << halveY))
  }
  return samples * layout.samples * layout.bytes
}
