/** The few SCALE encodings that are hashed or sealed off chain; everything on chain goes by metadata. */

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** Little-endian u64. */
export function u64le(value: number | bigint): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(value), true)
  return out
}

function u16le(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8)
}

/** Compact form of a length, up to 2^30 - 1. */
export function compact(length: number): Uint8Array {
  if (length < 1 << 6) return Uint8Array.of(length << 2)
  if (length < 1 << 14) return u16le((length << 2) | 1)
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, ((length << 2) | 2) >>> 0, true)
  return out
}

export function vecU16(values: readonly number[]): Uint8Array {
  return concatBytes(compact(values.length), ...values.map(u16le))
}

function vecBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(compact(bytes.length), bytes)
}

/**
 * The plaintext of a timelocked commit.
 *
 * @param hotkey public key, 32 bytes
 */
export function encodeTimelockPayload(
  hotkey: Uint8Array,
  uids: readonly number[],
  values: readonly number[],
  versionKey: bigint,
): Uint8Array {
  return concatBytes(vecBytes(hotkey), vecU16(uids), vecU16(values), u64le(versionKey))
}

/**
 * What a salted commit hashes (blake2b-256 of it is the commit hash).
 *
 * @param hotkey public key, 32 bytes
 * @param index netuid, or the mechanism's storage index
 */
export function encodeCommitPreimage(
  hotkey: Uint8Array,
  index: number,
  uids: readonly number[],
  values: readonly number[],
  salt: readonly number[],
  versionKey: bigint,
): Uint8Array {
  return concatBytes(
    hotkey,
    u16le(index),
    vecU16(uids),
    vecU16(values),
    vecU16(salt),
    u64le(versionKey),
  )
}
