import { blake2b } from '@noble/hashes/blake2.js'
import { ed25519Verify, sr25519Verify } from '@polkadot/util-crypto'
import { multiAddress, multiSignature } from './runtime/frame-types.js'
import type { Call, Runtime } from './runtime/runtime.js'
import { fromHex, Reader, Writer } from './scale/bytes.js'
import { bytes, compactBig, encode, u32, u64 } from './scale/codec.js'

/** Why an extrinsic is not taken, in the words of `sc-rpc` and with its numbers. */
export class InvalidTransaction extends Error {
  readonly code: number
  readonly data: string | undefined

  constructor(data: string | undefined, code = 1010, message = 'Invalid Transaction') {
    super(message)
    this.code = code
    this.data = data
  }
}

export const BAD_PROOF = 'Transaction has a bad signature'
export const STALE = 'Transaction is outdated'
export const ANCIENT = 'Transaction has an ancient birth block'
export const PAYMENT = 'Inability to pay some fees (e.g. account balance too low)'

/** When a mortal extrinsic was born and how many blocks it lives; `undefined` is immortal. */
export interface Era {
  readonly period: number
  readonly phase: number
}

/** A signed extrinsic, format version 4. */
export interface SignedExtrinsic {
  readonly signer: string
  readonly era: Era | undefined
  readonly nonce: number
  readonly tip: bigint
  readonly call: Call
  readonly signature: { readonly scheme: string; readonly bytes: Uint8Array }
  /** Parts of the signed payload: the call, and what the extensions put in the extrinsic. */
  readonly signedParts: { readonly call: Uint8Array; readonly extra: Uint8Array }
  /** The mode of CheckMetadataHash; 0 is off. */
  readonly metadataMode: number
}

const VERSION_SIGNED = 0x84
const nonceCodec = compactBig(u64)

/**
 * Decodes an extrinsic with its length prefix.
 * @throws InvalidTransaction for anything but a signed extrinsic of this runtime
 */
export function decodeExtrinsic(data: Uint8Array, runtime: Runtime): SignedExtrinsic {
  try {
    const outer = new Reader(data)
    const body = bytes.decode(outer)
    const input = new Reader(body)
    if (input.byte() !== VERSION_SIGNED) throw new RangeError('not a signed extrinsic, version 4')
    const address = multiAddress.decode(input)
    if (address.name !== 'Id') throw new RangeError('the signer must be an account id')
    const signature = multiSignature.decode(input)
    const extraStart = body.length - input.remaining
    const era = decodeEra(input)
    const nonce = Number(nonceCodec.decode(input))
    const tip = nonceCodec.decode(input)
    const metadataMode = input.byte()
    const callStart = body.length - input.remaining
    const call = runtime.decodeCall(input)
    if (input.remaining > 0) throw new RangeError('bytes are left over after the call')
    return {
      signer: address.values[0] as string,
      era,
      nonce,
      tip,
      call,
      signature: { scheme: signature.name, bytes: signature.values[0] as Uint8Array },
      signedParts: { call: body.slice(callStart), extra: body.slice(extraStart, callStart) },
      metadataMode,
    }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidTransaction(
      `Could not decode \`UncheckedExtrinsic\`: ${text}`,
      1002,
      'Verification Error: Runtime error: Execution failed',
    )
  }
}

function decodeEra(input: Reader): Era | undefined {
  const first = input.byte()
  if (first === 0) return undefined
  const encoded = first | (input.byte() << 8)
  const period = 2 << (encoded & 0x0f)
  const quantize = Math.max(1, period >> 12)
  const phase = (encoded >> 4) * quantize
  if (period < 4 || phase >= period) throw new RangeError('the era is not valid')
  return { period, phase }
}

/** The block an era began at, as seen from `current`. */
export const eraBirth = (era: Era, current: number): number =>
  Math.floor((Math.max(current, era.phase) - era.phase) / era.period) * era.period + era.phase

/** What every signature covers beside the extrinsic itself. */
export interface SigningContext {
  readonly runtime: Runtime
  readonly genesisHash: string
  /** Hash of the block the era began at; genesis for an immortal one. */
  readonly birthHash: string
}

/** Checks the signature over call, extensions and implicit data; long payloads are hashed first. */
export function signatureHolds(extrinsic: SignedExtrinsic, context: SigningContext): boolean {
  const out = new Writer()
  out.bytes(extrinsic.signedParts.call)
  out.bytes(extrinsic.signedParts.extra)
  u32.encode(context.runtime.specVersion, out)
  u32.encode(context.runtime.version.transaction_version, out)
  out.bytes(fromHex(context.genesisHash))
  out.bytes(fromHex(context.birthHash))
  out.byte(0)
  const payload = out.done()
  const message = payload.length > 256 ? blake2b(payload, { dkLen: 32 }) : payload
  const publicKey = fromHex(extrinsic.signer)
  const { scheme, bytes: signature } = extrinsic.signature
  try {
    if (scheme === 'Sr25519') return sr25519Verify(message, signature, publicKey)
    if (scheme === 'Ed25519') return ed25519Verify(message, signature, publicKey)
  } catch {
    return false
  }
  return false
}

/** The unsigned inherent every block opens with: `Timestamp.set`. */
export function timestampExtrinsic(runtime: Runtime, nowMs: bigint): Uint8Array {
  const out = new Writer()
  out.byte(0x04)
  runtime.call.encode({ name: 'Timestamp', values: [{ name: 'set', values: [nowMs] }] }, out)
  return encode(bytes, out.done())
}
