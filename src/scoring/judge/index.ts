export {
  type CompressionTask,
  createJudge,
  type FrameQualityModel,
  type Judge,
  type Judged,
  type JudgeModules,
  type JudgeOptions,
  type ResultFile,
  type UpscalingTask,
} from './judge.js'
export {
  type AnyRecord,
  type Disagreement,
  type JudgedRecord,
  parseRecord,
  recheck,
} from './record.js'
export {
  type CompressionFacts,
  gainOverBaseline,
  judgeCompression,
  judgeUpscaling,
  QUALITY,
  type UpscaleQuality,
  type UpscalingFacts,
  type Verdict,
} from './verdict.js'
