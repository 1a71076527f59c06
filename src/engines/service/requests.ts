import { z } from 'zod'
import {
  CODECS,
  COMPRESS_GOALS,
  COMPRESS_TUNES,
  type CompressParams,
  type UpscaleParams,
} from '../types.js'

/** A request of either shape, as the engines understand it. */
export interface VideoRequest<P> {
  readonly url: string
  readonly params: P
}

const url = z.string().min(1).max(8192)
const MEGABYTE = 1_000_000

/** `SD24K` is the only task that scales by four. */
const TASK_TYPES = ['HD24K', 'SD2HD', 'SD24K', '4K28K'] as const

/** `{ payload_url, task_type }`, as the reference miner sends it. */
export const upscaleReference = z
  .object({
    payload_url: url,
    task_type: z.enum(TASK_TYPES),
    maximum_optimized_size_mb: z.number().positive().max(100_000).nullish(),
  })
  .transform(
    (body): VideoRequest<UpscaleParams> => ({
      url: body.payload_url,
      params: {
        scale: body.task_type === 'SD24K' ? 4 : 2,
        ...(body.maximum_optimized_size_mb
          ? { maxSizeBytes: body.maximum_optimized_size_mb * MEGABYTE }
          : {}),
      },
    }),
  )

/** Ours: `{ url, scale, codec?, maxSizeBytes? }`. */
export const upscaleOwn = z
  .strictObject({
    url,
    scale: z.union([z.literal(2), z.literal(4)]),
    codec: z.enum(['hevc', 'h264', 'av1']).optional(),
    maxSizeBytes: z.int().positive().optional(),
  })
  .transform(
    ({ url: from, scale, codec, maxSizeBytes }): VideoRequest<UpscaleParams> => ({
      url: from,
      params: {
        scale,
        ...(codec === undefined ? {} : { codec }),
        ...(maxSizeBytes === undefined ? {} : { maxSizeBytes }),
      },
    }),
  )

/** `{ payload_url, vmaf_threshold, target_codec, codec_mode, target_bitrate }`; bitrate in Mbit/s. */
export const compressReference = z
  .object({
    payload_url: url,
    vmaf_threshold: z.number().min(0).max(100).default(90),
    target_codec: z.enum(CODECS).default('av1'),
    codec_mode: z.enum(['CRF', 'VBR', 'CBR']).default('CRF'),
    target_bitrate: z.number().positive().max(1000).default(10),
  })
  .transform(
    (body): VideoRequest<CompressParams> => ({
      url: body.payload_url,
      params: {
        vmafThreshold: body.vmaf_threshold,
        codec: body.target_codec,
        mode: body.codec_mode === 'CRF' ? 'CRF' : 'VBR',
        ...(body.codec_mode === 'CRF' ? {} : { targetBitrateKbps: body.target_bitrate * 1000 }),
      },
    }),
  )

/** Ours: `{ url, vmafThreshold, codec, mode?, targetBitrateKbps?, budgetMs?, goal?, effort?, tune? }`. */
export const compressOwn = z
  .strictObject({
    url,
    vmafThreshold: z.number().min(0).max(100),
    codec: z.enum(CODECS),
    mode: z.enum(['CRF', 'VBR']).default('CRF'),
    targetBitrateKbps: z.number().positive().max(1_000_000).optional(),
    budgetMs: z.int().positive().optional(),
    goal: z.enum(COMPRESS_GOALS).optional(),
    effort: z.enum(['quick', 'normal', 'thorough']).optional(),
    tune: z.enum(COMPRESS_TUNES).optional(),
  })
  .refine(({ mode, targetBitrateKbps }) => mode === 'CRF' || targetBitrateKbps !== undefined, {
    path: ['targetBitrateKbps'],
    message: 'VBR needs targetBitrateKbps',
  })
  .transform(
    ({ url: from, ...params }): VideoRequest<CompressParams> => ({
      url: from,
      params: withoutAbsent(params),
    }),
  )

/** Drops keys whose value is undefined: optional means absent. */
function withoutAbsent<T extends object>(value: T): CompressParams {
  const present = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(present) as unknown as CompressParams
}
