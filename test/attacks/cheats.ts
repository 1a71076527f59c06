import { copyFile, readFile, stat, writeFile } from 'node:fs/promises'
import type { GateCode } from '#src/scoring/gates/codes.js'
import { ENCODE, FRAMES, ffmpeg, type Recipe } from './kit.js'

/** One way to be paid for less than the work. */
export type Cheat = Recipe & {
  readonly name: string
  /** The gate that must see it. Absent where the metrics are what stops it. */
  readonly gate?: GateCode
}

/** Changes the picture, then encodes it as an honest miner would. */
const filter = (name: string, vf: string, gate?: GateCode): Cheat => ({
  name,
  ...(gate === undefined ? {} : { gate }),
  args: ['-vf', vf, '-fps_mode', 'passthrough', ...ENCODE],
})

/** Encodes in a way of its own. */
const encode = (name: string, gate: GateCode | undefined, args: readonly string[]): Cheat => ({
  name,
  ...(gate === undefined ? {} : { gate }),
  args,
})

/** Writes bytes that no encoder made. */
const bytes = (name: string, content: string): Cheat => ({
  name,
  gate: 'readable',
  make: (_clip, out) => writeFile(out, content),
})

/** Leaves out what only a larger picture could hold, and makes up for the softness it causes. */
const shrunk = (share: number, sharpen: number, flags = 'bicubic'): string =>
  [
    `scale=trunc(iw*${share}/2)*2:trunc(ih*${share}/2)*2:flags=${flags}`,
    `scale=320:180:flags=${flags},setsar=1,unsharp=3:3:${sharpen}`,
  ].join(',')

const middle = Math.floor(FRAMES / 2)

/** Bits taken from what the metric does not see, or sees too late. Also tried on other pictures than the rest. */
export const DETAIL_CHEATS: readonly Cheat[] = [
  filter('three fifths of the size, sharpened', shrunk(0.6, 0.6)),
  filter('three quarters of the size, sharpened', shrunk(0.75, 0.6), 'fine-detail'),
  filter('three quarters, sharpened a little', shrunk(0.75, 0.3)),
  filter('three quarters by lanczos, sharpened', shrunk(0.75, 0.6, 'lanczos'), 'fine-detail'),
  filter('0.85 of the size, sharpened a little', shrunk(0.85, 0.3)),
  filter('0.92 of the size, sharpened a little', shrunk(0.92, 0.3)),
  filter('softened and sharpened again', 'gblur=sigma=0.8,unsharp=5:5:0.8'),
  filter('softened a little and sharpened again', 'gblur=sigma=0.5,unsharp=5:5:0.5'),
  filter('denoised lightly', 'hqdn3d=2:1.5:3:2.2'),
  filter('colour blurred a little', 'gblur=sigma=1:planes=6'),
  filter('colour blurred', 'gblur=sigma=1.5:planes=6', 'colour-detail'),
  filter('colour blurred away', 'gblur=sigma=3:planes=6', 'colour-detail'),
]

export const CHEATS: readonly Cheat[] = [
  // made for the metric
  filter('unsharp', 'unsharp=5:5:1.2:5:5:0'),
  filter('light unsharp', 'unsharp=5:5:0.4:5:5:0'),
  filter('denoise then sharpen', 'hqdn3d=4:3:6:4,unsharp=5:5:0.8'),
  filter('contrast 1.05', 'eq=contrast=1.05', 'tone'),
  filter('contrast 1.15', 'eq=contrast=1.15', 'tone'),
  filter('gamma 0.97', 'eq=gamma=0.97', 'tone'),
  filter('gamma 1.1', 'eq=gamma=1.1', 'tone'),
  filter('darkening by 3 levels', 'lutyuv=y=val-3', 'tone'),
  filter('brightening by 12 levels', 'lutyuv=y=val+12', 'tone'),
  filter('blur', 'gblur=sigma=1.2'),
  filter('half size and back', 'scale=iw/2:ih/2,scale=iw*2:ih*2'),
  filter('sharpened every second frame', "unsharp=5:5:1.0:enable='mod(n,2)'"),
  filter('adaptive sharpening', 'cas=0.6'),
  filter('grain replaced by noise', 'hqdn3d=6:4:8:6,noise=alls=5:allf=t'),
  filter('fewer levels', "lutyuv=y='4*floor(val/4)+2'"),
  ...DETAIL_CHEATS,
  // colour
  filter('gray', 'hue=s=0', 'gray'),
  filter('colour shift', 'hue=h=6', 'tone'),
  filter('half the colour', 'hue=s=0.6', 'chroma'),
  filter('oversaturated', 'hue=s=1.4', 'tone'),
  encode('HDR tags', 'colour-tags', [
    ...ENCODE,
    ...['-color_primaries', 'bt2020', '-color_trc', 'smpte2084', '-colorspace', 'bt2020nc'],
  ]),
  // the input itself
  { name: 'returned input', gate: 'file-size', make: (clip, out) => copyFile(clip.path, out) },
  encode('re-mux', 'file-size', ['-c', 'copy', '-movflags', '+faststart']),
  encode('metadata-only change', 'file-size', ['-c', 'copy', '-metadata', 'comment=optimised']),
  // frames
  filter('one black frame', `drawbox=enable='eq(n,${middle})':color=black:t=fill`, 'black-frames'),
  {
    name: 'half the frames, each twice',
    make: (clip, out) =>
      ffmpeg('-i', clip.path, '-vf', `framestep=2,fps=${clip.fps}`, ...ENCODE, out),
  },
  filter(
    'one picture for the whole clip',
    `loop=loop=${FRAMES}:size=1:start=2,trim=end_frame=${FRAMES}`,
  ),
  filter('late by one frame', `tpad=start_mode=clone:start=1,trim=end_frame=${FRAMES}`),
  filter(
    'dropped frames',
    `select='not(between(n,${middle},${middle + 2}))',setpts=N/FR/TB`,
    'frame-count',
  ),
  filter('reversed', 'reverse'),
  filter('neighbours swapped', 'shuffleframes=1 0'),
  filter('frames blended with their neighbours', "tmix=frames=3:weights='1 1 1'"),
  filter('shorter', `trim=end_frame=${FRAMES - 5}`, 'duration'),
  filter('longer', 'tpad=stop_mode=clone:stop=6', 'duration'),
  filter('other frame rate', 'setpts=PTS*0.8', 'frame-rate'),
  encode('variable frame rate without the quiet frames', undefined, [
    ...['-vf', 'mpdecimate=max=3:hi=4096:lo=2048:frac=0.8', '-fps_mode', 'vfr'],
    ...ENCODE,
  ]),
  // geometry
  filter('letterbox', 'scale=320:156,pad=320:180:0:12,setsar=1'),
  filter('crop and scale', 'crop=iw*0.94:ih*0.94,scale=320:180,setsar=1'),
  filter('moved by two pixels', 'crop=iw-2:ih-2:2:2,pad=iw+2:ih+2:0:0'),
  filter('edges smeared', 'crop=iw-8:ih-8:4:4,pad=iw+8:ih+8:4:4,fillborders=4:4:4:4:smear'),
  filter('mirrored', 'hflip', 'same-content'),
  filter('other size', 'scale=240:136,setsar=1', 'dimensions'),
  filter('pixels not square', 'setsar=4/3', 'pixel-aspect'),
  filter('watermark', 'drawbox=x=iw-44:y=ih-24:w=36:h=16:color=white@0.6:t=fill', 'overlay'),
  encode('giant picture', 'dimensions', [
    ...['-vf', 'scale=4096:2304:flags=neighbor', '-frames:v', '2'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '51', '-pix_fmt', 'yuv420p'],
  ]),
  // bits saved where nobody looks
  {
    name: 'tiny-bitrate tail',
    async make(clip, out, folder) {
      const at = FRAMES - 4
      const head = `${folder}/${clip.name}.head.mp4`
      const tail = `${folder}/${clip.name}.tail.mp4`
      const cut = (range: string): string[] => ['-vf', `${range},setpts=PTS-STARTPTS`]
      await ffmpeg('-i', clip.path, ...cut(`trim=end_frame=${at}`), ...ENCODE, head)
      await ffmpeg('-i', clip.path, ...cut(`trim=start_frame=${at}`), ...ENCODE, '-crf', '40', tail)
      await writeFile(`${folder}/${clip.name}.txt`, `file '${head}'\nfile '${tail}'\n`)
      await ffmpeg(
        '-f',
        'concat',
        '-safe',
        '0',
        '-i',
        `${folder}/${clip.name}.txt`,
        '-c',
        'copy',
        out,
      )
    },
  },
  encode('high CRF in the middle', undefined, [
    ...ENCODE,
    ...['-x264-params', `zones=${middle - 3},${middle + 3},q=48`],
  ]),
  // somebody else's work
  {
    name: 'copy of another result with noise',
    async make(clip, out, folder) {
      const other = `${folder}/${clip.name}.other.mp4`
      await ffmpeg('-i', clip.path, ...ENCODE, other)
      await ffmpeg('-i', other, '-vf', 'noise=alls=4:allf=t', ...ENCODE, out)
    },
  },
  {
    name: 'another clip',
    gate: 'same-content',
    make: (clip, out) =>
      ffmpeg(
        ...['-f', 'lavfi', '-i', `testsrc2=size=${clip.width}x${clip.height}:rate=${clip.fps}`],
        ...['-frames:v', String(FRAMES), ...ENCODE, out],
      ),
  },
  // files that are not what was asked for
  encode('4:4:4 pixels', 'profile', [...ENCODE, '-pix_fmt', 'yuv444p']),
  encode('10-bit pixels', 'profile', [...ENCODE, '-pix_fmt', 'yuv420p10le']),
  encode('MJPEG', 'codec', ['-c:v', 'mjpeg', '-q:v', '30', '-pix_fmt', 'yuvj420p']),
  {
    name: 'Matroska under the name of MP4',
    gate: 'container',
    args: [...ENCODE, '-f', 'matroska'],
  },
  {
    name: 'corrupt tail',
    async make(clip, out) {
      await ffmpeg('-i', clip.path, ...ENCODE, '-movflags', '+faststart', out)
      const data = await readFile(out)
      data.fill(0x5a, Math.floor(data.length * 0.6))
      await writeFile(out, data)
    },
  },
  {
    name: 'truncated file',
    async make(clip, out) {
      await ffmpeg('-i', clip.path, ...ENCODE, '-movflags', '+faststart', out)
      const { size } = await stat(out)
      await writeFile(out, (await readFile(out)).subarray(0, Math.floor(size / 2)))
    },
  },
  bytes('empty file', ''),
  bytes('web page', '<!doctype html><title>not found</title>'.repeat(40)),
  bytes('playlist in disguise', '#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n'.repeat(9)),
]
