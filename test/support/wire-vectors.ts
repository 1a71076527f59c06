// The golden requests and replies of test/fixtures/wire (see its README for what each field is).
import { readFileSync } from 'node:fs'
import {
  type AnySynapse,
  type BtauthScheme,
  defineSynapse,
  type HeaderBag,
  SYNAPSES,
} from 'subreel/protocol'
import { z } from 'zod'

export type Pairs = readonly (readonly [string, string])[]

export interface WireRequest {
  readonly method: string
  readonly path: string
  readonly headers: Pairs
  readonly body: string
}

export interface RequestVector extends WireRequest {
  readonly id: string
  readonly synapse: string
  readonly sender_uri?: string
  readonly receiver_hotkey: string
  readonly clock_ns: string
  readonly timeout_s?: number
  readonly signed_message?: string
  readonly prior?: readonly WireRequest[]
  readonly filler?: { readonly header: string; readonly char: string; readonly count: number }
  readonly expect: {
    readonly verdict: 'accept' | 'reject'
    readonly status: number
    readonly status_message?: string | null
    readonly reason: string
    readonly stricter_ok?: boolean
  }
}

export interface ReplyVector {
  readonly id: string
  readonly request_id: string
  readonly response: { readonly status: number; readonly headers: Pairs; readonly body: string }
  readonly dendrite_result?: Readonly<Record<string, unknown>>
}

export interface AuthRequest {
  readonly method: string
  readonly path: string
  readonly body_hex: string
  readonly headers: Readonly<Record<string, string>>
}

export interface AuthVector extends AuthRequest {
  readonly id: string
  readonly verify: {
    readonly self_hotkey_ss58: string
    readonly now_ns: string
    readonly require_receiver?: boolean
    readonly max_age_s?: number
    readonly allowed_skew_s?: number
  }
}

export interface AuthPositive extends AuthVector {
  readonly scheme: BtauthScheme
  readonly sender_ss58: string
  readonly receiver_ss58: string | null
  readonly nonce: string
  readonly payload_utf8: string
  readonly signature_match: 'exact' | 'verify-only'
}

export interface AuthNegative extends AuthVector {
  readonly accepted_before: number
  readonly prior?: readonly Pick<AuthRequest, 'headers' | 'body_hex'>[]
  readonly error: string
}

/** The btauth/1 vectors: to accept, to refuse, and what upstream does with odd encodings. */
export const readAuthVectors = () =>
  readFixture<{
    vectors: AuthPositive[]
    negative: AuthNegative[]
    tolerance: (AuthVector & { upstream_result: string })[]
  }>('btauth1.json')

/** Upstream's errors in our codes. */
export const AUTH_CODES: Readonly<Record<string, readonly string[]>> = {
  MalformedAuth: ['auth-malformed'],
  WrongReceiver: ['receiver-mismatch'],
  StaleRequest: ['nonce-stale', 'nonce-future'],
  BadSignature: ['signature-mismatch'],
  ReplayedRequest: ['nonce-replayed'],
}

export function readFixture<T>(name: string): T {
  const url = new URL(`../../../test/fixtures/wire/${name}`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as T
}

/** Headers as Node's server gives them. */
export function headerBag(pairs: Pairs): HeaderBag {
  return Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
}

/** The synapse with required and hashed fields that the vectors were made with. */
export const HashedTask = defineSynapse({
  name: 'HashedTask',
  request: z.object({
    prompt: z.string(),
    steps: z.bigint(),
    guidance: z.number(),
    options: z.record(z.string(), z.unknown()),
    seeds: z.array(z.bigint()),
    flag: z.boolean().default(false),
    note: z.string().optional(),
    big: z.bigint().default(0n),
    nested: z
      .object({
        label: z.string().default(''),
        weight: z.number().default(0),
        tags: z.array(z.string()).default([]),
        extra: z.record(z.string(), z.unknown()).optional(),
      })
      .prefault({}),
  }),
  response: z.object({ result: z.string().optional() }),
  requiredHashFields: [
    'prompt',
    'steps',
    'guidance',
    'options',
    'seeds',
    'flag',
    'note',
    'big',
    'nested',
  ],
})

export const VECTOR_SYNAPSES: ReadonlyMap<string, AnySynapse> = new Map(
  [...SYNAPSES, HashedTask].map((synapse) => [synapse.name, synapse]),
)
