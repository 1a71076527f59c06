/** Ways in which an honest miner may encode: codec, preset and quality. */
export interface Honest {
  readonly name: string
  readonly args: readonly string[]
}

const honest = (name: string, ...args: readonly string[]): Honest => ({
  name,
  args: [...args, '-pix_fmt', 'yuv420p', '-an'],
})

const x264 = (preset: string, crf: number): Honest =>
  honest(`x264 ${preset} ${crf}`, '-c:v', 'libx264', '-preset', preset, '-crf', `${crf}`)
const x265 = (crf: number): Honest =>
  honest(
    `x265 ${crf}`,
    ...['-c:v', 'libx265', '-preset', 'superfast', '-crf', `${crf}`, '-tag:v', 'hvc1'],
    ...['-x265-params', 'log-level=none'],
  )
const av1 = (crf: number): Honest =>
  honest(`av1 ${crf}`, '-c:v', 'libsvtav1', '-preset', '9', '-crf', `${crf}`)
const vp9 = (crf: number): Honest =>
  honest(
    `vp9 ${crf}`,
    ...['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '6'],
    ...['-b:v', '0', '-crf', `${crf}`],
  )

export const HONEST: readonly Honest[] = [
  x264('medium', 20),
  x264('medium', 26),
  x264('medium', 32),
  x264('medium', 38),
  x264('veryslow', 32),
  x264('veryfast', 23),
  x264('veryfast', 29),
  x264('veryfast', 35),
  x265(24),
  x265(30),
  x265(36),
  av1(30),
  av1(42),
  av1(54),
  vp9(34),
  vp9(46),
  honest('x264 grain', '-c:v', 'libx264', '-tune', 'grain', '-crf', '27'),
  honest('x264 animation', '-c:v', 'libx264', '-tune', 'animation', '-crf', '27'),
  honest('x264 baseline', '-c:v', 'libx264', '-profile:v', 'baseline', '-crf', '25'),
]

const inTenBits = ({ name, args }: Honest): Honest => ({
  name: `${name} in 10 bits`,
  args: [...args, '-pix_fmt', 'yuv420p10le'],
})

/** Of a reference in 10 bits, in as many or in 8. */
export const HONEST_OF_TEN_BITS: readonly Honest[] = [
  ...[x265(20), x265(26), x265(32), av1(26), av1(38), av1(50)].map(inTenBits),
  ...[x264('medium', 24), x264('veryfast', 30), x265(28), av1(40), vp9(40)],
]
