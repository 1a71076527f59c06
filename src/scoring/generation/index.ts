export { measureCalibration } from './calibrate.js'
export {
  CALIBRATION,
  type Calibration,
  calibrationSchema,
  type Threshold,
  thresholdFor,
} from './calibration.js'
export {
  createGenerationVerifier,
  type GenerationVerifierOptions,
  type OpenVerifier,
  readCalibration,
} from './create.js'
export { GENERATION_GATES } from './gates.js'
export { type ComparedFile, countGate, fileScore, judgeGeneration } from './verdict.js'
export {
  type GeneratedResult,
  GenerationVerifier,
  type GenerationVerifierModules,
  type Rerun,
} from './verifier.js'
