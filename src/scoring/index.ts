/** Fair judgement of video: formulas, gates, metrics, explained records, ledger and weights. */
export * from './errors.js'
export {
  audioSpeed,
  audioTaskScore,
  bestResponse,
  rankScore,
  rewardWeight,
  scanReward,
} from './formulas/audio.js'
export { competitionFinal, competitionLengthWeight } from './formulas/competition.js'
export {
  COMPRESSION,
  COMPRESSION_FORMULAS,
  type CompressionFormula,
  type CompressionInput,
  type CompressionScore,
  compressionScore,
  continuousCompressionScore,
} from './formulas/compression.js'
export { consensusOf, type MinerConsensus, type MinerReport } from './formulas/consensus.js'
export { generationSpeed, packageScore, videoSimilarity } from './formulas/generation.js'
export {
  accumulate,
  compressionMultipliers,
  multipliers,
  organicUpscaleStep,
  performanceTier,
  upscaleMultipliers,
} from './formulas/history.js'
export { harmonicMean, harmonicMeanDroppingZeros, pieappAggregate } from './formulas/pooling.js'
export { liquidation, poolWeights } from './formulas/pools.js'
export { sequenceRatio } from './formulas/sequence-ratio.js'
export {
  lengthScore,
  UPSCALING,
  upscaleQuality,
  upscaleScore,
  upscaleScoreFromQuality,
} from './formulas/upscaling.js'
export { type YumaInput, type YumaResult, yumaEpoch } from './formulas/yuma.js'
export { GATES, type GateCode } from './gates/codes.js'
export {
  type Arrival,
  type Copy,
  compareFingerprints,
  type Fingerprint,
  findCopies,
  type Likeness,
} from './gates/copies.js'
export * from './judge/index.js'
export { drawPlot } from './judge/plot.js'
export { findFiles, type Verification, verifyRecord } from './judge/verify.js'
export * from './ledger.js'
export {
  createVmafScorer,
  MetricsError,
  poolSeries,
  SessionManager,
  type VmafScorerOptions,
} from './metrics/index.js'
export type {
  GateOutcome,
  MetricSeries,
  ScoreRecord,
  TaskKind,
  VmafOptions,
  VmafResult,
  VmafScorer,
} from './types.js'
export * from './weights.js'
