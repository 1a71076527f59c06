// A miner that cheats: it sells sharpened bicubic as upscaling, sharpens starved encodes, because
// sharpening pleases plain VMAF, and generates nothing. All the rest of it is the real miner.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { startProcess } from '../../dist/config/index.js'
import { fileUrl, hostileInput, probeVideo, runFfmpeg } from '../../dist/media/index.js'
import { startMiner } from '../../dist/miner/miner.js'
import { openChain, openSigner } from '../../dist/neuron/index.js'

/** An engine that runs one ffmpeg filter and calls it a day. */
function cheat(name, filterOf, codecOf) {
  return {
    name,
    ready: async () => {},
    close: async () => {},
    async run({ path, params }, { workDir, signal }) {
      const output = join(workDir, `${name}.mp4`)
      const encoder = codecOf(params)
      await runFfmpeg(
        [
          ...hostileInput(path),
          '-vf',
          filterOf(params),
          ...encoder,
          '-pix_fmt',
          'yuv420p',
          '-f',
          'mp4',
          fileUrl(output),
        ],
        { signal },
      )
      const info = await probeVideo(output, { signal })
      const { width, height, frames } = info.video
      return { path: output, engine: name, width, height, frames, sizeBytes: info.sizeBytes }
    },
  }
}

const sharpen = 'unsharp=5:5:1.5'
const encoders = { av1: 'libsvtav1', hevc: 'libx265', h264: 'libx264', vp9: 'libvpx-vp9' }
const engines = {
  upscale: async () =>
    cheat(
      'sharpened-bicubic',
      ({ scale }) => `scale=iw*${scale}:ih*${scale}:flags=bicubic,${sharpen}`,
      () => ['-c:v', 'libx264', '-crf', '30'],
    ),
  compress: async () =>
    cheat(
      'starved-unsharp',
      () => sharpen,
      ({ codec }) => ['-c:v', encoders[codec], '-crf', '50'],
    ),
  // Of the size and length that the workflow makes, and made before anybody asked.
  generate: async () => ({
    name: 'canned',
    ready: async () => {},
    close: async () => {},
    async run({ params }, { workDir, signal }) {
      params.onSubmitted?.('canned')
      const path = join(workDir, 'canned.mp4')
      const source = ['-f', 'lavfi', '-i', 'testsrc2=size=480x272:rate=12', '-frames:v', '24']
      await runFfmpeg([...source, '-pix_fmt', 'yuv420p', fileUrl(path)], { signal })
      const { size: sizeBytes } = await stat(path)
      return { path, engine: 'canned', sizeBytes, metadata: { version: 1, files: [] } }
    },
  }),
}

process.exitCode = await startProcess({
  process: 'miner',
  usage: 'the cheating miner of the demo',
  start: (config, context, env) =>
    startMiner(config, context, {
      chain: async () => openChain(config, context),
      signer: () => openSigner(config, env),
      engines,
    }),
})
