import { z } from 'zod'
import { defineSynapse } from '../../protocol/index.js'
import { decodeAddress, type Signer, verifySignature } from '../../wallet/index.js'

/** More pairs of miner and kind than any subnet has. */
const MAX_REPORTS = 2048
const MAX_DOCUMENT_CHARS = 1_000_000
/** A clock may be ahead by so much. */
const MAX_AHEAD_MS = 60_000

/**
 * What a validator measured of one miner in one kind of work. All of it is measured or read from the
 * chain; there is no field for what a miner says of itself.
 */
const Measured = z.strictObject({
  hotkey: z.string().min(1).max(64),
  kind: z.string().min(1).max(32),
  status: z.strictObject({
    uid: z.int().min(0).max(65_535),
    hotkey: z.string().max(64),
    /** Total stake weight in TAO. */
    stake: z.number().min(0),
    /** Whether it answered when it was asked last. */
    is_serving: z.boolean(),
    /** Running score, 0–1; absent while it was never scored. */
    performance_score: z.number().min(0).max(1).optional(),
    /** Users' tasks that this validator has it working on. */
    current_load: z.int().min(0).max(100_000),
  }),
})
export type Measured = z.output<typeof Measured>

const Document = z.strictObject({
  version: z.literal(1),
  netuid: z.int().min(0).max(65_535),
  validator: z.string().max(64),
  /** Unix milliseconds. */
  atMs: z.int().min(0),
  reports: z.array(Measured).max(MAX_REPORTS),
})
export type ReportDocument = z.output<typeof Document>

/** Asks a validator for its newest report: signed, since an axon's answers are not. */
export const ValidatorReport = defineSynapse({
  name: 'ValidatorReportProtocol',
  request: z.object({}),
  response: z.object({
    /** JSON text of a ReportDocument; empty before the first. */
    document: z.string().max(MAX_DOCUMENT_CHARS).default(''),
    /** Of the text's UTF-8 bytes, by the validator's hotkey, as hex. */
    signature: z.string().max(256).default(''),
  }),
})

export interface SignedReport {
  readonly document: string
  readonly signature: string
}

export function signReport(signer: Signer, document: ReportDocument): SignedReport {
  const text = JSON.stringify(document)
  return { document: text, signature: Buffer.from(signer.sign(Buffer.from(text))).toString('hex') }
}

export interface ReportRules {
  readonly netuid: number
  /** Who must have signed it. */
  readonly validator: string
  readonly nowMs: number
  readonly maxAgeMs: number
}

/** The document, when it is what it must be; else why it is refused. */
export function readReport(
  { document, signature }: SignedReport,
  rules: ReportRules,
): { readonly document: ReportDocument } | { readonly refused: string } {
  const parsed = Document.safeParse(parseJson(document))
  if (!parsed.success) return { refused: 'not a report' }
  const { data } = parsed
  if (data.netuid !== rules.netuid) return { refused: 'of another subnet' }
  if (data.validator !== rules.validator) return { refused: 'of another validator' }
  const ageMs = rules.nowMs - data.atMs
  if (ageMs > rules.maxAgeMs) return { refused: 'too old' }
  if (ageMs < -MAX_AHEAD_MS) return { refused: 'from the future' }
  // The signer's address comes from the chain: it is one.
  const publicKey = decodeAddress(rules.validator)
  const signed = (['sr25519', 'ed25519'] as const).some((scheme) =>
    verifySignature({
      scheme,
      publicKey,
      message: Buffer.from(document),
      signature: Buffer.from(signature, 'hex'),
    }),
  )
  return signed ? { document: data } : { refused: 'not signed by that validator' }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
