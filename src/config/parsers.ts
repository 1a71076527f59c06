import { isIP } from 'node:net'
import { z } from 'zod'
import { Secret } from '../lib/secret.js'

/**
 * Parsers of single settings. Each takes what a flag or an environment variable gives (text) and
 * what a TOML file gives (typed values), and says in one clause what it wanted.
 */

const trimmed = (value: unknown) =>
  // A TOML file may give a number where any text is taken, e.g. a GPU or a length of 10.
  typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : value

export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** An integer within bounds. */
export function int({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}) {
  const wanted = `an integer in ${min}..${max}`
  return z.preprocess(
    (value) =>
      typeof value === 'string' && /^[+-]?\d+$/.test(value.trim()) ? Number(value) : value,
    z.int(`must be ${wanted}`).min(min, `must be ${wanted}`).max(max, `must be ${wanted}`),
  )
}

/** A finite number within bounds. */
export function number({ min = -Infinity, max = Infinity }: Bounds = {}) {
  const wanted = `must be a number in ${min}..${max}`
  return z.preprocess(
    (value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value),
    z.number(wanted).min(min, wanted).max(max, wanted),
  )
}

export const port = () => int({ min: 1, max: 65_535 })

const TRUE = new Set(['1', 'true', 'yes', 'on'])
const FALSE = new Set(['0', 'false', 'no', 'off'])

/** true/false, 1/0, yes/no, on/off. */
export function bool() {
  return z.preprocess((value) => {
    const word = typeof value === 'string' ? value.trim().toLowerCase() : value
    if (typeof word === 'string' && TRUE.has(word)) return true
    if (typeof word === 'string' && FALSE.has(word)) return false
    return value
  }, z.boolean('must be true or false'))
}

/** Non-empty text. */
export function text() {
  return z.preprocess(
    trimmed,
    z.string('must be text').min(1, { error: 'must not be empty', abort: true }),
  )
}

/** One word of a closed set. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return z.preprocess(trimmed, z.enum(words, `must be one of ${words.join(', ')}`))
}

const BUCKET_TYPES = ['builtin', 's3', 'aws', 'minio', 'backblaze', 'r2', 'hippius'] as const
const OTHER_BUCKET_TYPES: Readonly<Record<string, string>> = { amazon_s3: 'aws', cloudflare: 'r2' }

/** Kinds of stores, also by the names that the reference miner has for them. */
export function bucketType() {
  return z.preprocess((value) => {
    const word = String(trimmed(value)).toLowerCase()
    return OTHER_BUCKET_TYPES[word] ?? word
  }, oneOf(BUCKET_TYPES))
}

/** Comma-separated text, or an array in the file; empty parts are dropped. */
export function list() {
  return places().transform((parts) => parts.filter((part) => part !== ''))
}

const LIST = 'must be a comma-separated list'

/** Comma-separated text whose empty parts are kept, so that positions line up with another list. */
export function places() {
  return z.preprocess(
    (value) => {
      const text = trimmed(value)
      return typeof text === 'string' ? text.split(',') : value
    },
    z.array(z.preprocess(trimmed, z.string(LIST)), LIST),
  )
}

/** Comma-separated secrets; empty parts are kept, so that positions line up with another list. */
export function secretList() {
  return places().transform((parts) => parts.map((part) => new Secret(part)))
}

/** Text that never prints. */
export function secret() {
  return text().transform((value) => new Secret(value))
}

/** A URL with one of the given schemes. */
export function url(...schemes: readonly string[]) {
  const wanted = `must be a URL starting with ${schemes.map((s) => `${s}://`).join(' or ')}`
  return text().refine((value) => {
    return URL.canParse(value) && schemes.includes(new URL(value).protocol.replace(':', ''))
  }, wanted)
}

/** An IPv4 or IPv6 address. */
export function ip() {
  return text().refine((value) => isIP(value) !== 0, 'must be an IPv4 or IPv6 address')
}

const NETWORK = 'must be finney, test, local, or ws:// and wss:// URLs of one network'
const isNetwork = (word: string) =>
  /^(finney|test|local)$/.test(word) || url('ws', 'wss').safeParse(word).success

/** Names and endpoints of a chain's network, separated by commas. */
export function network() {
  return text().refine((value) => networks().safeParse(value).success, NETWORK)
}

/** The same as a list. */
export function networks() {
  return list().refine((words) => words.length > 0 && words.every(isNetwork), NETWORK)
}

/** A URL that may hold a password: kept secret. */
export function secretUrl(...schemes: readonly string[]) {
  return url(...schemes).transform((value) => new Secret(value))
}

/** A number that the process may be left to choose. */
export function intOrAuto({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}) {
  const wanted = `must be auto or an integer in ${min}..${max}`
  return z.preprocess(trimmed, z.union([z.literal('auto'), int({ min, max })], wanted))
}

/** Where models run: auto, cpu, cuda or cuda:N. */
export function device() {
  const named = z.literal(['auto', 'cpu', 'cuda'])
  const numbered = z.templateLiteral(['cuda:', z.int().min(0)])
  return z.preprocess(trimmed, z.union([named, numbered], 'must be auto, cpu, cuda or cuda:N'))
}
