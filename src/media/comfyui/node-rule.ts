/**
 * What an input of a node may be. A name in capitals (`MODEL`, `IMAGE` …) asks for a link to an output
 * of that type; all others ask for a plain value. A trailing `?` makes the input optional.
 *
 * - `text`: prose; `choice`: one short word of a list; `flag`: true or false
 * - `integer`, `number`: any within reason
 * - `width`, `height`: pixels; `frames`: length of a clip; `batch`, `repeat`: multiply the frames
 * - `scale`: multiplies width and height; `megapixels`: size of an image as a whole, 0.01–4; `pad-x`, `pad-y`: add to them
 * - `steps`: of a sampler; `denoise`: the share of them that is taken, 0 or 0.01–1; `fps`: 0.1–240
 * - `model`: name of a model file; `file`: name of an uploaded input; `prefix`: name that outputs begin with
 * - `url`: a URL, if URLs are allowed at all
 */
export type InputKind = string

/** What the firewall knows of a node class. */
export interface NodeRule {
  readonly inputs: Readonly<Record<string, InputKind>>
  /** Types of its outputs, in order. */
  readonly outputs: readonly string[]
  /** It saves a result: a workflow needs at least one such node. */
  readonly saves?: boolean
  /** Its frames are those of all its inputs together. */
  readonly joins?: boolean
  /** It multiplies width and height by at most this factor. */
  readonly enlarges?: number
  /** It reads an image of unknown size. The largest allowed size is assumed. */
  readonly loadsImage?: boolean
}

/** Inputs and outputs that many classes have. */
export const PAIR = { positive: 'CONDITIONING', negative: 'CONDITIONING' }
export const CLIP = { width: 'width', height: 'height', length: 'frames', batch_size: 'batch' }
export const GUIDED = { ...PAIR, vae: 'VAE', ...CLIP }
export const CONDITIONED = ['CONDITIONING', 'CONDITIONING', 'LATENT']
