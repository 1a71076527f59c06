import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { QUICKNET } from '../runtime/drand.js'
import { fromHex } from '../scale/bytes.js'

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_'
/** Whoever reads this can sign every round: the point of a development beacon. */
const DEV_SEED = 'subreel devnet beacon'

/** Where the chain's round signatures come from. */
export type DrandOptions =
  /** Own key; a round's signature exists from the time the round is due. */
  | 'clock'
  /** Own key; a signature exists as soon as a reveal needs it, for chains whose blocks outrun time. */
  | 'eager'
  /** Somebody else's key, such as quicknet's, and the signatures known of it. Hex with 0x. */
  | { readonly publicKey: string; readonly signatures: Readonly<Record<number, string>> }

/** A source of drand rounds for one chain. */
export interface Beacon {
  readonly config: typeof QUICKNET
  /** The newest round that is due at this time. */
  roundAt(unixMs: number): bigint
  /** A round's signature if it may be known at this time, 48 bytes compressed. */
  signature(round: bigint, unixMs: number): Uint8Array | undefined
}

const roundAt = (unixMs: number): bigint => {
  const elapsed = Math.floor(unixMs / 1000) - QUICKNET.genesis_time
  return elapsed < 0 ? 0n : BigInt(Math.floor(elapsed / QUICKNET.period) + 1)
}

function messageOf(round: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(round)
  return sha256(bytes)
}

/** Makes the beacon; its public key stands in storage `Drand.BeaconConfig`. */
export function makeBeacon(options: DrandOptions): Beacon {
  if (typeof options === 'object') return knownBeacon(options.publicKey, options.signatures)
  const { Fr } = bls12_381.fields
  const seed = Buffer.from(sha256(Buffer.from(DEV_SEED))).toString('hex')
  const secret = Fr.create(BigInt(`0x${seed}`))
  const publicKey = bls12_381.G2.Point.BASE.multiply(secret).toBytes(true)
  const scheme = Buffer.from('subreel-devnet')
  return {
    config: { ...QUICKNET, public_key: publicKey, metadata: { beacon_id: scheme } },
    roundAt,
    signature(round, unixMs) {
      if (options === 'clock' && round > roundAt(unixMs)) return undefined
      const point = bls12_381.G1.hashToCurve(messageOf(round), { DST })
      return point.multiply(secret).toBytes(true)
    },
  }
}

function knownBeacon(publicKey: string, known: Readonly<Record<number, string>>): Beacon {
  const signatures = new Map(
    Object.entries(known).map(([round, hex]) => [BigInt(round), fromHex(hex)]),
  )
  const newest = [...signatures.keys()].reduce((max, round) => (round > max ? round : max), 0n)
  return {
    config: { ...QUICKNET, public_key: fromHex(publicKey) },
    // Rounds without a known signature never come: a commit to a later one stays closed.
    roundAt: (unixMs) => (roundAt(unixMs) < newest ? roundAt(unixMs) : 0n),
    signature: (round) => signatures.get(round),
  }
}
