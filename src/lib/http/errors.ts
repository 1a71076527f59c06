import { SubnetError } from '../errors.js'

export type FetchErrorData =
  /** The URL breaks a rule before anything was sent: scheme, port, user info, length or syntax. Send a plain https URL of a public host. */
  | { code: 'FETCH_URL_REFUSED'; rule: string }
  /** The host is, or resolves to, an address that is not public. Use a public host; --allow-private-urls exists for local networks. */
  | { code: 'FETCH_ADDRESS_REFUSED'; address: string; range: string }
  /** The host name does not resolve. Check the name. */
  | { code: 'FETCH_DNS_FAILED'; host: string }
  /** The connection failed or broke. The server may be down; the fetch may be tried again. */
  | { code: 'FETCH_CONNECTION_FAILED'; host: string }
  /** The server answered with a status that is not a success. See the status. */
  | { code: 'FETCH_STATUS'; status: number }
  /** More redirects than allowed, or one without a usable location. Give the final URL. */
  | { code: 'FETCH_REDIRECTS'; hops: number }
  /** The body is larger than the cap; reading stopped there. Send a smaller file or raise fetch.max_mb. */
  | { code: 'FETCH_TOO_LARGE'; limitBytes: number }
  /** The body ended before its announced length. The server cut it; try again. */
  | { code: 'FETCH_TRUNCATED'; receivedBytes: number }
  /** The whole fetch took longer than its deadline. The server is too slow or hangs. */
  | { code: 'FETCH_TIMEOUT'; timeoutMs: number }
  /** The body arrived slower than the minimum rate. The server is too slow. */
  | { code: 'FETCH_TOO_SLOW'; bytesPerSecond: number }
  /** The body is compressed, which this client never asks for. Serve it as it is. */
  | { code: 'FETCH_ENCODED'; encoding: string }

export class FetchError extends SubnetError<FetchErrorData> {}
