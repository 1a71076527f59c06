import { SubnetError } from '../lib/errors.js'

export type GatewayErrorData =
  /** No API key came with the request. Send it as X-API-Key or as a bearer token. */
  | { code: 'GATEWAY_KEY_MISSING' }
  /** The API key is not known. Check it, or ask the operator for one. */
  | { code: 'GATEWAY_KEY_UNKNOWN' }
  /** The gateway was started without API keys, or one is malformed. Set gateway.keys to name:key pairs. */
  | { code: 'GATEWAY_KEYS_INVALID' }
  /** More requests in a minute than the key may make. Wait for the time in Retry-After. */
  | { code: 'GATEWAY_RATE_LIMITED'; retryAfterSeconds: number }
  /** The key has used its jobs of the day. Try again tomorrow (UTC). */
  | { code: 'GATEWAY_QUOTA_USED'; quota: number }
  /** The request cannot be read; the message names the field. Correct it. */
  | { code: 'GATEWAY_BAD_REQUEST' }
  /** There is no such job, or it is another key's. Check the id. */
  | { code: 'GATEWAY_NOT_FOUND' }
  /** The job has no result yet, or failed. Follow its state first. */
  | { code: 'GATEWAY_NO_RESULT'; state: string }
  /** The uploaded file is larger than allowed. Send a smaller one, or a URL. */
  | { code: 'GATEWAY_TOO_LARGE'; limitBytes: number }

export class GatewayError extends SubnetError<GatewayErrorData> {}

/** HTTP status of each code. */
export const STATUS: Readonly<Record<GatewayErrorData['code'], number>> = {
  GATEWAY_KEY_MISSING: 401,
  GATEWAY_KEY_UNKNOWN: 401,
  GATEWAY_KEYS_INVALID: 500,
  GATEWAY_RATE_LIMITED: 429,
  GATEWAY_QUOTA_USED: 429,
  GATEWAY_BAD_REQUEST: 400,
  GATEWAY_NOT_FOUND: 404,
  GATEWAY_NO_RESULT: 409,
  GATEWAY_TOO_LARGE: 413,
}
