import { SubnetError } from '../lib/errors.js'

export type ScoringErrorData =
  /** The reference itself cannot be judged against: it is missing, damaged, too short or too small. Give another one; no miner is to blame. */
  | { code: 'SCORING_REFERENCE_UNUSABLE'; detail: string }
  /** The models failed on a result that decodes: the fault is on this side. Score it again later; never count it as 0. */
  | { code: 'SCORING_METRIC_FAILED'; result: string }
  /** A score record is not readable: it is no JSON, or not of version 1. Give the file that `subreel score --json` wrote. */
  | { code: 'SCORING_RECORD_INVALID'; detail: string }
  /** A local file was named that is not below a folder of `scorer.local_folders`, or is not there. Send a URL, or list its folder. */
  | { code: 'SCORING_PATH_REFUSED' }
  /** The request has no results, too many results or a parameter out of range. Correct the named parameter. */
  | { code: 'SCORING_REQUEST_INVALID'; detail: string }
  /** The validator's ComfyUI had too little memory to run a round's workflow whole. Use a server with more, or smaller workflows. */
  | { code: 'SCORING_RERUN_REDUCED' }
  /** The table of cosines by pairs of graphics cards cannot be read. Correct the file, or leave the setting out. */
  | { code: 'SCORING_CALIBRATION_INVALID'; file: string }

export class ScoringError extends SubnetError<ScoringErrorData> {}
