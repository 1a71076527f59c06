// A million requests of a hundred thousand hotkeys through the gate, in a process of its own. Signatures
// are taken as right: what is looked at is what the gate remembers. Prints memory as it goes.
import { MemoryNonceStore, nonceRetentionMs, serve } from 'subreel/axon'
import { type Hotkey, Ping, prepareRequest, toUid } from 'subreel/protocol'
import { encodeAddress } from 'subreel/wallet'
import { Gate, isRefusal } from '#src/axon/gate.js'
import { withDefaults } from '#src/axon/options.js'
import { SystemClock } from '#src/lib/clock.js'
import { KEYS } from '../../support/axon.js'
import { signLegacy, uuidOf } from '../../support/signed.js'

const [requests = 1_000_000, hotkeys = 100_000, perSecond = 2000] = process.argv
  .slice(2)
  .map(Number)
const PRINTS = 10

/** Moves as if `perSecond` requests arrived each second. */
class SteppingClock extends SystemClock {
  ms = 1_760_000_000_000

  override now(): number {
    return this.ms
  }

  override nowNs(): bigint {
    return BigInt(Math.floor(this.ms * 1e6))
  }

  override monotonic(): number {
    return this.ms
  }
}

const clock = new SteppingClock()
const nonceStore = new MemoryNonceStore({ retentionMs: nonceRetentionMs() })
const route = serve({ definition: Ping, handler: () => ({}) })
const peer = { uid: toUid(0), stake: 1, validatorPermit: true }
const gate = new Gate(
  withDefaults({
    wallet: KEYS.bob,
    peers: { lookup: (hotkey) => ({ ...peer, hotkey: hotkey as Hotkey }) },
    synapses: [route],
    clock,
    nonceStore,
    verifier: { verify: () => true },
  }),
)
const template = signLegacy(prepareRequest(Ping, {}), {
  sender: KEYS.alice,
  receiver: KEYS.bob.address,
})
const key = Buffer.alloc(32, 7)
let refused = 0
for (let i = 1; i <= requests; i += 1) {
  clock.ms += 1000 / perSecond
  const who = i % hotkeys
  key.writeUInt32LE(who)
  const headers = {
    ...template.headers,
    bt_header_dendrite_hotkey: encodeAddress(key),
    bt_header_dendrite_uuid: uuidOf(i),
    bt_header_dendrite_nonce: String(clock.nowNs()),
  }
  const head = {
    method: 'POST',
    target: '/Synapse',
    headers,
    address: `10.0.${who >> 8}.${who & 255}`,
  }
  const claim = await gate.screen(route, head)
  if (isRefusal(claim) || (await gate.verify(claim, head, key)) !== undefined) refused += 1
  if (i % Math.floor(requests / PRINTS) === 0) {
    globalThis.gc?.()
    const { rss, heapUsed } = process.memoryUsage()
    const mib = (bytes: number) => Math.round(bytes / 2 ** 20)
    process.stdout.write(
      `  after ${i}: ${mib(rss)} MiB resident, ${mib(heapUsed)} MiB heap, ${nonceStore.size} nonces, ${refused} refused\n`,
    )
  }
}
