import type { Secret } from '../../lib/secret.js'
import { StorageError } from '../errors.js'

/** Kinds of S3 service that a setting names. */
export const S3_SERVICES = ['s3', 'aws', 'minio', 'backblaze', 'r2', 'hippius'] as const
export type S3Service = (typeof S3_SERVICES)[number]

export interface S3Options {
  readonly bucket: string
  readonly region: string
  /** Absent for AWS itself. */
  readonly endpoint: string | undefined
  /** Bucket in the path instead of the host name. */
  readonly pathStyle: boolean
  readonly accessKey: Secret<string>
  readonly secretKey: Secret<string>
  /** Larger files go up in parts of this size. Default 8 MiB, at least 5 MiB. */
  readonly partSizeBytes?: number
  /** Parts sent at once. Default 3. */
  readonly concurrentParts?: number
  /** One request may take this long. Default 60 s. */
  readonly requestTimeoutMs?: number
}

/** `s3.REGION.backblazeb2.com` and the like. */
const REGION_IN_HOST = /^(?:https?:\/\/)?s3[.-]((?:[a-z]+-)+\d+)\.[a-z0-9-]+\.[a-z]+/i

function regionOf(service: S3Service, given: string | undefined, endpoint: string | undefined) {
  // The only one that R2 has.
  if (service === 'r2') return 'auto'
  const usual = service === 'hippius' ? 'decentralized' : 'us-east-1'
  return given ?? REGION_IN_HOST.exec(endpoint ?? '')?.[1] ?? usual
}

/** Where a service lives when no endpoint is given. */
function defaultEndpoint(service: S3Service, region: string | undefined): string | undefined {
  if (service === 'backblaze' && region !== undefined) return `https://s3.${region}.backblazeb2.com`
  if (service === 'hippius') return 'https://s3.hippius.com'
  return undefined
}

/** Settings by name, and the environment variable that most know them by. */
const ENV = {
  'bucket.name': 'BUCKET_NAME',
  'bucket.endpoint': 'BUCKET_COMPATIBLE_ENDPOINT',
  'bucket.access_key': 'BUCKET_COMPATIBLE_ACCESS_KEY',
  'bucket.secret_key': 'BUCKET_COMPATIBLE_SECRET_KEY',
} as const

/**
 * Options from the settings of one of the known services. `s3` without an endpoint is AWS.
 * @throws StorageError STORAGE_CONFIG naming the missing setting
 */
export function s3Options(input: {
  readonly service: S3Service
  readonly bucket: string | undefined
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly accessKey: Secret<string> | undefined
  readonly secretKey: Secret<string> | undefined
}): S3Options {
  const need = <T>(value: T | undefined, setting: keyof typeof ENV): T => {
    if (value !== undefined) return value
    throw new StorageError(
      { code: 'STORAGE_CONFIG', setting },
      `bucket.type ${input.service} needs ${setting} (${ENV[setting]})`,
    )
  }
  const { service } = input
  const given = input.endpoint ?? defaultEndpoint(service, input.region)
  const onAws = service === 'aws' || service === 's3'
  const endpoint = onAws ? given : need(given, 'bucket.endpoint')
  return {
    bucket: need(input.bucket, 'bucket.name'),
    region: regionOf(service, input.region, endpoint),
    endpoint: endpoint === undefined || endpoint.includes('://') ? endpoint : `https://${endpoint}`,
    // AWS asks for host style; every other server takes the path style, some nothing else.
    pathStyle: endpoint !== undefined,
    accessKey: need(input.accessKey, 'bucket.access_key'),
    secretKey: need(input.secretKey, 'bucket.secret_key'),
  }
}
