export { mountObjects } from './builtin/mount.js'
export { OBJECT_PATH, ObjectServer } from './builtin/server.js'
export { loadSigningKey } from './builtin/signer.js'
export {
  BuiltinStore,
  type BuiltinStoreModules,
  type BuiltinStoreOptions,
} from './builtin/store.js'
export {
  type Delivered,
  Delivery,
  type DeliveryModules,
  type DeliveryOptions,
} from './delivery.js'
export { StorageError } from './errors.js'
export {
  callerPrefix,
  DEFAULT_EXPIRY_S,
  MAX_EXPIRY_S,
  MIN_EXPIRY_S,
  resultKey,
} from './keys.js'
export { createMetrics, type StorageMetrics } from './metrics.js'
export { type BucketSettings, type OpenStoreModules, openStore, RESULT_FOLDERS } from './open.js'
export {
  keepSwept,
  longestLifeMs,
  RedisSchedule,
  Retention,
  type RetentionModules,
  type RetentionOptions,
  type Schedule,
  type SweeperOptions,
  type Swept,
} from './retention.js'
export { S3_SERVICES, type S3Options, type S3Service, s3Options } from './s3/options.js'
export { S3Store, type S3StoreModules } from './s3/store.js'
export type * from './types.js'
export { checkReachable, putToUrl, type UploadModules } from './upload.js'
