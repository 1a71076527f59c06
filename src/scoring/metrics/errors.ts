import { SubnetError } from '../../lib/errors.js'

/** Codes of the metrics: models, devices and the clips given to them. None of them is ever a score. */
export type MetricsErrorData =
  /** The manifest or a file of it is not there: reinstall the package, or point the models folder at it. */
  | { code: 'METRICS_MODEL_MISSING'; model: string; path: string }
  /** A model file is not the one its manifest pins: reinstall the package; no score is given meanwhile. */
  | { code: 'METRICS_MODEL_ALTERED'; model: string; expected: string; found: string }
  /** ONNX Runtime refuses a model file: it was made for another version. */
  | { code: 'METRICS_MODEL_UNUSABLE'; model: string }
  /** The device asked for is not usable here: install the CUDA provider, or ask for `auto` or `cpu`. */
  | { code: 'METRICS_DEVICE_UNAVAILABLE'; device: string }
  /** A GPU failed while it ran and is not used again by this process: restart it, check the driver's log. */
  | { code: 'METRICS_DEVICE_LOST'; device: string }
  /** CPU and GPU disagree about a built-in clip: the GPU's scores must not be used. */
  | { code: 'METRICS_SELF_CHECK_FAILED'; device: string; difference: number }
  /** A model failed on its input. */
  | { code: 'METRICS_RUN_FAILED'; model: string; device: string }
  /** Pictures under 32 pixels a side have no VMAF: send a larger clip. */
  | { code: 'METRICS_PICTURE_TOO_SMALL'; width: number; height: number }
  /** A clip holds no frame that decodes. */
  | { code: 'METRICS_NO_FRAMES'; path: string }
  /** The clips differ by more than one frame, so frames cannot be paired. */
  | { code: 'METRICS_FRAME_COUNT_DIFFERS'; reference: number; distorted: number }
  /** A metric is not a number: a defect of ours, never the clip's fault. */
  | { code: 'METRICS_NOT_FINITE'; metric: string; frame: number }
  /** The models are closed already. */
  | { code: 'METRICS_CLOSED' }

export class MetricsError extends SubnetError<MetricsErrorData> {}
