import { LruMap } from '../lib/lru.js'
import type { Hotkey } from '../protocol/units.js'
import {
  type BtauthHeaders,
  btauthPayload,
  btauthReplayKey,
  checkBtauth,
  isBtauth,
  parseBtauthHeaders,
} from '../protocol/wire/btauth1.js'
import { type FaultCode, fault, notVerified, type WireFault } from '../protocol/wire/fault.js'
import {
  type CompleteSender,
  checkLegacyNonce,
  checkLegacySender,
  checkPlaceholders,
  type HeaderBag,
  isLegacy,
  type LegacyHeaders,
  legacyMessage,
  nonceKey,
  parseLegacyHeaders,
} from '../protocol/wire/legacy.js'
import { parseAddress, SS58_PREFIX } from '../wallet/ss58.js'
import { TokenBuckets } from './buckets.js'
import { FloodGuard } from './flood-guard.js'
import type { AxonSettings } from './options.js'
import type { AccessPolicy, AxonRoute, Caller, Peer } from './types.js'

/** Why a request goes no further. */
export interface Refusal {
  readonly fault: WireFault
  readonly retryAfterMs?: number
  /** Close the connection: its sender is not worth another request. */
  readonly hangUp?: boolean
}

interface ClaimBase {
  readonly route: AxonRoute
  readonly caller: Caller
  readonly publicKey: Uint8Array
}

export interface LegacyClaim extends ClaimBase {
  readonly protocol: 'legacy'
  readonly headers: LegacyHeaders
  readonly sender: CompleteSender
}

export interface BtauthClaim extends ClaimBase {
  readonly protocol: 'btauth1'
  readonly auth: BtauthHeaders
}

/** A request that has passed everything but its signature. */
export type Claim = LegacyClaim | BtauthClaim

/** The request line and where it came from. */
export interface RequestHead {
  readonly method: string
  /** The target exactly as on the wire. */
  readonly target: string
  readonly headers: HeaderBag
  /** Remote IP address. */
  readonly address: string
}

const KNOWN_KEYS = 8192
const JSON_TYPE = /^application\/json(?:\s*;|$)/i

export const isRefusal = (result: object): result is Refusal => 'fault' in result

/**
 * Decides who gets in. `screen` asks everything that needs no cryptography, cheapest first;
 * `verify` checks the signature and uses up the nonce.
 *
 * Python's axon asks its blacklist before it verifies, so that strangers cost nothing, and so does
 * this one. The order of the rest is by cost.
 */
export class Gate {
  readonly #settings: AxonSettings
  readonly #rates: TokenBuckets
  readonly #flood: FloodGuard
  readonly #publicKeys = new LruMap<string, Uint8Array>(KNOWN_KEYS)

  constructor(settings: AxonSettings) {
    this.#settings = settings
    this.#rates = new TokenBuckets(settings.rateLimit)
    this.#flood = new FloodGuard(settings.floodLimits)
  }

  /** Whether the connections of this address are to be closed unheard. */
  shuns(address: string): boolean {
    return this.#flood.shuns(address, this.#settings.clock.monotonic())
  }

  /** Whether somebody has proved who he is from this address. */
  knows(address: string): boolean {
    return this.#flood.knows(address)
  }

  /** Counts a refusal against its sender; says to hang up when that was one too many. */
  blame(refusal: Refusal, address: string): Refusal {
    const nowMs = this.#settings.clock.monotonic()
    this.#flood.refused(address, nowMs)
    return this.#flood.shuns(address, nowMs) ? { ...refusal, hangUp: true } : refusal
  }

  screen(route: AxonRoute, head: RequestHead): Claim | Refusal | Promise<Claim | Refusal> {
    const caller = this.#caller(route, head)
    if (isRefusal(caller)) return this.blame(caller, head.address)
    const reason = route.blacklist?.(caller)
    if (!(reason instanceof Promise)) return this.#judge(reason, route, head, caller)
    return reason.then((text) => this.#judge(text, route, head, caller))
  }

  /** Checks the signature and uses up the nonce. `body` is what came, for btauth/1 covers it. */
  async verify(claim: Claim, head: RequestHead, body: Uint8Array): Promise<Refusal | undefined> {
    const { caller } = claim
    const { clock, verifier, ownHotkey } = this.#settings
    const signed =
      claim.protocol === 'legacy' ? legacyInput(claim, ownHotkey) : btauthInput(claim, head, body)
    const valid = await verifier.verify({ ...signed, publicKey: claim.publicKey })
    if (!valid) {
      this.#flood.forged(head.address, caller.hotkey, clock.monotonic())
      return { fault: wrong(claim, 'signature-mismatch', 'Signature mismatch') }
    }
    this.#flood.passed(head.address, caller.hotkey)
    const fresh = await this.#useNonce(claim)
    if (!fresh) return { fault: replayed(claim) }
    this.#rates.take(caller.hotkey, clock.monotonic())
    return undefined
  }

  #judge(
    reason: string | undefined,
    route: AxonRoute,
    head: RequestHead,
    caller: Caller,
  ): Claim | Refusal {
    const nowMs = this.#settings.clock.monotonic()
    if (reason !== undefined) return this.blame(blacklisted(reason), head.address)
    const rateMs = this.#rates.waitMs(caller.hotkey, nowMs)
    if (rateMs > 0) return tooMany(rateMs)
    const floodMs = this.#flood.waitMs(head.address, caller.hotkey, nowMs)
    if (floodMs > 0) {
      this.#flood.insisted(head.address, nowMs)
      return { ...tooMany(floodMs), hangUp: true }
    }
    const claim =
      caller.protocol === 'legacy'
        ? this.#legacyClaim(route, head, caller)
        : this.#btauthClaim(route, head, caller)
    return isRefusal(claim) ? this.blame(claim, head.address) : claim
  }

  /** Who is said to call, by which protocol, and whether that one may. */
  #caller(route: AxonRoute, head: RequestHead): Caller | Refusal {
    const { headers, address } = head
    const { protocols } = this.#settings
    const btauth = isBtauth(headers)
    if (btauth && isLegacy(headers)) {
      return no('auth-malformed', 'Malformed auth: headers of two protocols')
    }
    if (btauth ? !protocols.btauth : !protocols.legacy) {
      return no('auth-malformed', `${btauth ? 'btauth/1' : 'Legacy'} requests are not served here`)
    }
    const claimed = headers[btauth ? 'x-bittensor-hotkey' : 'bt_header_dendrite_hotkey']
    if (typeof claimed !== 'string') {
      if (btauth || headers['x-bittensor-signature'] !== undefined) {
        return no('auth-malformed', 'Malformed auth: no version or no hotkey')
      }
      const why = 'No SS58 formatted address or public key provided.'
      return { fault: notVerified('hotkey-invalid', why) }
    }
    const peer = this.#settings.peers.lookup(claimed)
    const reason = refusedAccess(peer, route.access ?? this.#settings.access)
    if (reason !== undefined) return blacklisted(reason)
    const protocol = btauth ? 'btauth1' : 'legacy'
    return { hotkey: claimed as Hotkey, peer, protocol, address }
  }

  #legacyClaim(route: AxonRoute, head: RequestHead, caller: Caller): Claim | Refusal {
    const { clock, nonceStore, nonces, strictHeaders, requireBodyHash } = this.#settings
    if (requireBodyHash && route.definition.requiredHashFields.length === 0) {
      return no('body-hash-mismatch', 'Only bodies with a signed hash are served here')
    }
    const parsed = parseLegacyHeaders(head.headers)
    if (!parsed.ok) return parsed
    const complete = checkLegacySender(parsed.value)
    if (!complete.ok) return complete
    const sender = complete.value
    const stale = checkLegacyNonce(
      {
        nonce: sender.nonce,
        nowNs: clock.nowNs(),
        timeoutS: parsed.value.timeoutS,
        version: sender.version,
        lastNonce: nonceStore.lastKnown(nonceKey(caller.hotkey, sender.uuid, nonces)),
      },
      nonces,
    )
    if (stale !== undefined) return { fault: stale }
    const odd =
      (strictHeaders ? this.#oddHeaders(route, head, parsed.value) : undefined) ??
      checkContentType(head.headers) ??
      checkPlaceholders(route.definition, head.headers)
    if (odd !== undefined) return { fault: odd }
    const publicKey = this.#publicKey(caller.hotkey)
    if (publicKey === undefined) {
      return { fault: notVerified('hotkey-invalid', 'Invalid SS58 address') }
    }
    return { protocol: 'legacy', route, caller, publicKey, headers: parsed.value, sender }
  }

  #oddHeaders(route: AxonRoute, head: RequestHead, headers: LegacyHeaders): WireFault | undefined {
    const { ownHotkey } = this.#settings
    if (headers.receiver.hotkey !== ownHotkey) {
      return notVerified('receiver-mismatch', 'bt_header_axon_hotkey is not the one of this axon')
    }
    if (headers.name !== route.definition.name || head.target.includes('?')) {
      return notVerified('receiver-mismatch', 'The name header and the URL differ')
    }
    if (headers.timeoutS === undefined) {
      return notVerified('sender-incomplete', 'Missing timeout')
    }
    return undefined
  }

  #btauthClaim(route: AxonRoute, head: RequestHead, caller: Caller): Claim | Refusal {
    const { clock, nonceStore, btauth, ownHotkey } = this.#settings
    const parsed = parseBtauthHeaders(head.headers)
    if (!parsed.ok) return parsed
    const auth = parsed.value
    const wrongOrStale = checkBtauth(auth, { ownHotkey, nowNs: clock.nowNs() }, btauth)
    if (wrongOrStale !== undefined) return { fault: wrongOrStale }
    const odd = checkContentType(head.headers)
    if (odd !== undefined) return { fault: odd }
    const publicKey = this.#publicKey(caller.hotkey)
    if (publicKey === undefined) {
      return no('auth-malformed', 'Malformed auth: X-Bittensor-Hotkey is not an ss58')
    }
    const claim: BtauthClaim = { protocol: 'btauth1', route, caller, publicKey, auth }
    return nonceStore.lastKnown(btauthReplayKey(auth)) === undefined
      ? claim
      : { fault: replayed(claim) }
  }

  #useNonce(claim: Claim): boolean | Promise<boolean> {
    const { nonceStore, nonces, clock } = this.#settings
    if (claim.protocol === 'btauth1') {
      return nonceStore.once(btauthReplayKey(claim.auth), claim.auth.nonce, clock.now())
    }
    const { nonce, uuid } = claim.sender
    return nonceStore.advance(nonceKey(claim.caller.hotkey, uuid, nonces), nonce, clock.now())
  }

  /** Undefined unless the address is canonical: another prefix would be another name for one key. */
  #publicKey(hotkey: string): Uint8Array | undefined {
    const known = this.#publicKeys.get(hotkey)
    if (known !== undefined) return known
    const parsed = parseAddress(hotkey)
    if ('why' in parsed || parsed.prefix !== SS58_PREFIX) return undefined
    this.#publicKeys.set(hotkey, parsed.publicKey)
    return parsed.publicKey
  }
}

/** Why a peer may not call, or undefined. */
export function refusedAccess(peer: Peer | undefined, access: AccessPolicy): string | undefined {
  if (peer === undefined) return access.allowUnregistered === true ? undefined : 'not registered'
  if (access.requireValidatorPermit === true && !peer.validatorPermit) return 'no validator permit'
  const least = access.minStake ?? 0
  return peer.stake < least ? `stake below ${least}` : undefined
}

function legacyInput(claim: LegacyClaim, receiver: string) {
  const { nonce, uuid, bodyHash, signature, hotkey } = claim.sender
  return {
    scheme: 'sr25519' as const,
    message: Buffer.from(legacyMessage({ nonce, sender: hotkey, receiver, uuid, bodyHash })),
    signature: new Uint8Array(Buffer.from(signature.slice(2), 'hex')),
  }
}

function btauthInput({ auth }: BtauthClaim, head: RequestHead, body: Uint8Array) {
  const { scheme, nonce, hotkey: sender, receiver, signature } = auth
  const { method, target } = head
  const text = btauthPayload({ scheme, method, target, body, nonce, sender, receiver })
  return { scheme, message: Buffer.from(text), signature }
}

function checkContentType(headers: HeaderBag): WireFault | undefined {
  const type = headers['content-type']
  if (typeof type === 'string' && JSON_TYPE.test(type)) return undefined
  return fault('content-type', 'Content-Type must be application/json')
}

const no = (code: FaultCode, message: string): Refusal => ({ fault: fault(code, message) })

const blacklisted = (reason: string): Refusal =>
  no('blacklisted', `Forbidden. Key is blacklisted: ${reason}.`)

const tooMany = (waitMs: number): Refusal => ({
  fault: fault('rate-limited', `Too many requests: retry in ${Math.ceil(waitMs / 1000)} s`),
  retryAfterMs: waitMs,
})

/** In the words of each protocol. */
const wrong = (claim: Claim, code: FaultCode, text: string): WireFault =>
  claim.protocol === 'legacy' ? notVerified(code, text) : fault(code, text)

const replayed = (claim: Claim): WireFault =>
  claim.protocol === 'legacy'
    ? notVerified('nonce-replayed', 'Nonce is too old, a newer one was last processed')
    : fault('nonce-replayed', 'Replayed request')
