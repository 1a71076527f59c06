import { join } from 'node:path'
import type { Clock } from '../lib/clock.js'
import type { Logger } from '../lib/log.js'
import type { Rng } from '../lib/rng.js'
import type { Secret } from '../lib/secret.js'
import { BuiltinStore } from './builtin/store.js'
import type { StorageMetrics } from './metrics.js'
import { type S3Service, s3Options } from './s3/options.js'
import { S3Store } from './s3/store.js'

/** The settings of a store, under the names they have in the configuration. */
export interface BucketSettings {
  readonly 'bucket.type': 'builtin' | S3Service
  readonly 'bucket.name': string | undefined
  readonly 'bucket.endpoint': string | undefined
  readonly 'bucket.region': string | undefined
  readonly 'bucket.access_key': Secret<string> | undefined
  readonly 'bucket.secret_key': Secret<string> | undefined
  readonly 'bucket.public_url': string | undefined
  readonly 'neuron.data_dir': string
}

export interface OpenStoreModules {
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
  readonly metrics?: StorageMetrics
}

/**
 * The store that the settings name. A bucket is asked once whether it can be used.
 * @throws StorageError
 */
export async function openStore(
  settings: BucketSettings,
  modules: OpenStoreModules,
): Promise<BuiltinStore | S3Store> {
  const service = settings['bucket.type']
  if (service === 'builtin') {
    const publicOrigin = settings['bucket.public_url']
    return BuiltinStore.open(
      {
        dir: join(settings['neuron.data_dir'], 'store'),
        ...(publicOrigin === undefined ? {} : { publicOrigin: new URL(publicOrigin).origin }),
      },
      modules,
    )
  }
  const store = await S3Store.open(
    s3Options({
      service,
      bucket: settings['bucket.name'],
      endpoint: settings['bucket.endpoint'],
      region: settings['bucket.region'],
      accessKey: settings['bucket.access_key'],
      secretKey: settings['bucket.secret_key'],
    }),
    modules,
  )
  await store.check()
  return store
}

/** Folders of results in a store, one per kind of work. */
export const RESULT_FOLDERS = {
  upscale: 'upscaling',
  compress: 'compression',
  generate: 'generation',
  speech: 'speech',
} as const
