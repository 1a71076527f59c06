export { literalAddress, parseGuardedUrl, requirePublicAddress, type UrlRules } from './address.js'
export { FetchError, type FetchErrorData } from './errors.js'
export {
  type Downloaded,
  type FetchedResponse,
  type FetcherOptions,
  type FetchOptions,
  GuardedFetcher,
  type ResolvedAddress,
  type Resolver,
} from './fetch.js'
