/** What a lane (worker thread) and its owner say to each other. */

export type TensorType = 'uint8' | 'uint16' | 'float32' | 'float64' | 'int64'

/** A tensor whose memory is handed over, not copied: the sender has it no more. */
export interface TensorData {
  readonly type: TensorType
  readonly dims: readonly number[]
  readonly data: ArrayBuffer
}
export type Tensors = Readonly<Record<string, TensorData>>

export type LaneRequest =
  | {
      readonly kind: 'load'
      readonly id: number
      readonly model: string
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'run'; readonly id: number; readonly model: string; readonly feeds: Tensors }

export type LaneReply =
  | { readonly kind: 'loaded'; readonly id: number }
  | {
      readonly kind: 'ran'
      readonly id: number
      readonly outputs: Tensors
      readonly feeds: Tensors
    }
  | {
      readonly kind: 'failed'
      readonly id: number
      readonly message: string
      /** Handed back, so that the work can go elsewhere. */
      readonly feeds: Tensors | undefined
    }

export interface LaneData {
  /** `cpu` or `cuda:N`. */
  readonly device: string
  readonly threads: number
}
