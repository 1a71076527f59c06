/** A prompt in the API format, taken apart only as far as the server needs it. */
export type Prompt = Readonly<Record<string, PromptNode>>

export interface PromptNode {
  readonly class_type: string
  readonly inputs: Readonly<Record<string, unknown>>
}

/** Pictures of one size: RGB, 8 bits, rows without gaps. A single picture is a list of one. */
export interface Pictures {
  readonly width: number
  readonly height: number
  readonly frames: readonly Uint8Array[]
}

export interface SavedFile {
  readonly filename: string
  readonly subfolder: string
  readonly type: 'output'
}

/** What a node gives: its outputs by index, and what a node that saves tells its users. */
export interface NodeResult {
  readonly outputs: readonly unknown[]
  readonly ui?: { readonly images: readonly SavedFile[]; readonly animated?: readonly boolean[] }
}

/** What a node may use while it runs. */
export interface NodeContext {
  readonly signal: AbortSignal
  readonly inputDir: string
  /** Reports a step. Throws when the prompt was interrupted. */
  progress(value: number, max: number, preview?: Pictures): Promise<void>
  /** Takes a model into memory, if it is not there. */
  load(model: string): Promise<void>
  /** Takes room for pictures; throws what PyTorch throws when there is none. */
  reserve(width: number, height: number, frames: number): void
  /** Names the next file of a prefix. `count` more numbers are taken. */
  nextFile(prefix: string, extension: string, count?: number): Promise<readonly NewFile[]>
}

export interface NewFile {
  readonly path: string
  readonly file: SavedFile
}

/** An input as `/object_info` describes it. Types in capitals that are no value type are links. */
export interface InputSpec {
  readonly type: string
  readonly options?: readonly string[] | ((server: ServerFiles) => readonly string[])
  readonly default?: unknown
  readonly min?: number
  readonly max?: number
  readonly optional?: boolean
  /** Described in the newer style. Lists of that style are not checked before the prompt runs. */
  readonly modern?: boolean
  /** Says what is wrong with a value that no list can check. */
  readonly check?: (value: unknown, server: ServerFiles) => string | undefined
}

export interface ServerFiles {
  readonly inputs: readonly string[]
  readonly models: readonly string[]
}

export interface NodeClass {
  readonly inputs: Readonly<Record<string, InputSpec>>
  readonly outputs: readonly string[]
  readonly saves?: boolean
  run(inputs: Readonly<Record<string, unknown>>, context: NodeContext): Promise<NodeResult>
}

/** What a node throws, by the name that Python would have given it. */
export class NodeException extends Error {
  readonly type: string

  constructor(type: string, message: string) {
    super(message)
    this.name = 'NodeException'
    this.type = type
  }
}

/** The prompt was interrupted by a user. */
export class Interrupted extends Error {}
