/** What one workflow may ask of a server. */
export interface WorkflowLimits {
  readonly bytes: number
  readonly nodes: number
  /** Nodes on the longest chain of links. */
  readonly chain: number
  /** Characters of a text. File names end at 255. */
  readonly textLength: number
  readonly width: number
  readonly height: number
  /** Frames that any node makes, repeats and joins counted. */
  readonly frames: number
  /** Width × height × frames of any node. */
  readonly pixels: number
  /** Width × height × frames of all nodes that make images: a server keeps them until the end. */
  readonly heldPixels: number
  /** Sampler steps of the whole workflow. */
  readonly steps: number
  readonly batch: number
  /** Times that a model file is loaded. */
  readonly models: number
  /** Nodes that save results. */
  readonly outputs: number
}

/** Enough for WAN 2.1 at 720p for 10 s, with room for the usual additions. */
export const DEFAULT_LIMITS: WorkflowLimits = {
  bytes: 256 * 1024,
  nodes: 100,
  chain: 50,
  textLength: 5000,
  width: 2048,
  height: 2048,
  frames: 241,
  pixels: 1920 * 1080 * 161,
  heldPixels: 4 * 1920 * 1080 * 161,
  steps: 100,
  batch: 16,
  models: 10,
  outputs: 16,
}
