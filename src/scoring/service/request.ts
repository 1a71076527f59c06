import { z } from 'zod'
import { COMPRESSION_FORMULAS, type CompressionFormula } from '../formulas/compression.js'

const FILE = z.union([
  z.strictObject({ url: z.string().min(1).max(4096) }),
  /** Read from this machine; only below the folders that the operator listed. */
  z.strictObject({ path: z.string().min(1).max(4096) }),
])
export type FileRef = z.infer<typeof FILE>

const ID = z.string().min(1).max(128)
const RESULT = z.union([
  z.strictObject({ id: ID, url: z.string().min(1).max(4096) }),
  z.strictObject({ id: ID, path: z.string().min(1).max(4096) }),
])
const CODEC = z.enum(['av1', 'hevc', 'h264', 'vp9'])
const FORMULAS = Object.keys(COMPRESSION_FORMULAS) as [CompressionFormula, ...CompressionFormula[]]

/** Body of `POST /score`. */
export const SCORE_REQUEST = z.discriminatedUnion('task', [
  z.strictObject({
    task: z.literal('compression'),
    reference: FILE,
    results: z.array(RESULT).min(1).max(32),
    threshold: z.number().min(0).max(100).default(90),
    codec: CODEC.optional(),
    mode: z.enum(['CRF', 'VBR', 'CBR']).default('CRF'),
    targetMbps: z.number().min(0.001).max(10_000).optional(),
    formula: z.enum(FORMULAS).default('vidaio-compression'),
    every: z.int().min(1).max(1000).default(1),
  }),
  z.strictObject({
    task: z.literal('upscaling'),
    reference: FILE,
    /** What the miner was given; made from the reference when absent. */
    input: FILE.optional(),
    results: z.array(RESULT).min(1).max(32),
    scale: z.union([z.literal(2), z.literal(4)]),
    codecs: z.array(CODEC).min(1).optional(),
    every: z.int().min(1).max(1000).default(1),
  }),
])
export type ScoreRequest = z.infer<typeof SCORE_REQUEST>
