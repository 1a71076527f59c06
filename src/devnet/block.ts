import { blake2b } from '@noble/hashes/blake2.js'
import { h256 } from './runtime/frame-types.js'
import { toHex } from './scale/bytes.js'
import { bytes, compact, encode, struct, u32, vec } from './scale/codec.js'

const header = struct('sp_runtime::generic::header::Header', {
  parent_hash: h256,
  number: compact(u32),
  state_root: h256,
  extrinsics_root: h256,
  digest: vec(bytes),
})

/** A block header as JSON-RPC shows it. */
export interface Header {
  readonly parentHash: string
  /** Hex quantity. */
  readonly number: string
  readonly stateRoot: string
  readonly extrinsicsRoot: string
  readonly digest: { readonly logs: readonly string[] }
}

export interface Block {
  readonly number: number
  /** 0x-prefixed hex. */
  readonly hash: string
  readonly header: Header
  /** Each with its length prefix. */
  readonly extrinsics: readonly Uint8Array[]
}

export const blake2Hash = (data: Uint8Array): string => toHex(blake2b(data, { dkLen: 32 }))

const blake2Of = (parts: readonly Uint8Array[]): string => blake2Hash(Buffer.concat(parts))

export interface BlockContent {
  readonly number: number
  readonly parentHash: string
  readonly extrinsics: readonly Uint8Array[]
  /** Anything that must tell this block from another of the same height: its changes, its fork. */
  readonly distinction: readonly Uint8Array[]
}

/**
 * A block with finney's header format and hash. The roots are hashes over the content, not Merkle
 * tries: no proof can be read from them.
 */
export function makeBlock(content: BlockContent): Block {
  const stateRoot = blake2Of(content.distinction)
  const extrinsicsRoot = blake2Of(content.extrinsics)
  const hash = blake2Hash(
    encode(header, {
      parent_hash: content.parentHash,
      number: content.number,
      state_root: stateRoot,
      extrinsics_root: extrinsicsRoot,
      digest: [],
    }),
  )
  return {
    number: content.number,
    hash,
    extrinsics: content.extrinsics,
    header: {
      parentHash: content.parentHash,
      number: `0x${content.number.toString(16)}`,
      stateRoot,
      extrinsicsRoot,
      digest: { logs: [] },
    },
  }
}
