import type { GateOutcome } from '../types.js'

/**
 * Every gate, in the order they run: the cheap ones first. A code never changes its meaning, so
 * that miners and dashboards can count on it. docs/reference/scoring.md is checked against this.
 */
export const GATES = {
  readable: 'The result is a media file with a video stream that decodes to its end.',
  container: 'The container is MP4.',
  codec: 'The codec is the one that was asked for.',
  profile: 'The profile is one that ordinary players decode.',
  'pixel-format': 'Pixels are 4:2:0, and 8 bit unless the reference has more.',
  'pixel-aspect': 'Pixels are square, or shaped as those of the reference.',
  rotation: 'No rotation flag turns the picture away from the reference.',
  dimensions: 'Width and height are exactly the expected ones.',
  'frame-rate': 'Frames per second are within 0.3 of the reference.',
  duration: 'Duration is within two frames and 0.1 s of the reference.',
  'colour-tags': 'Colour space, transfer, primaries and range say what the reference says.',
  'file-size': 'The file is small enough for its task.',
  bitrate: 'In VBR and CBR mode the bit rate is at most 10 % above its target.',
  'frame-count': 'The decoder delivers as many frames as the reference has, give or take one.',
  'same-content': 'The picture shows what the reference shows.',
  'black-frames': 'No frame is black where the reference is lit.',
  'frozen-frames': 'No frame repeats its predecessor where the reference moves.',
  'frame-order': 'Each frame shows its own moment, not that of a neighbour.',
  gray: 'Colour was not taken away.',
  chroma: 'At least 70 % of the energy of colour is kept.',
  tone: 'Brightness, contrast, gamma, saturation and hue are those of the reference.',
  overlay: 'Nothing was drawn over the picture and no border was added.',
  'unchanged-input': 'The video stream is not the reference itself in a new file.',
  'vmaf-gap': 'VMAF lies at most 6 above VMAF NEG: no sharpening made for the metric.',
  'fine-detail': 'Fine detail is kept as far as an encoder of this coarseness keeps it.',
  'colour-detail': 'Detail of colour is kept about as far as that of brightness.',
  'even-quality': 'No part of the clip was given up to save bits.',
} as const

export type GateCode = keyof typeof GATES

export const passed = (code: GateCode, detail: string): GateOutcome => ({
  code,
  passed: true,
  detail,
})
export const failed = (code: GateCode, detail: string): GateOutcome => ({
  code,
  passed: false,
  detail,
})
export const gate = (code: GateCode, ok: boolean, detail: string): GateOutcome => ({
  code,
  passed: ok,
  detail,
})
