import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Chain, Head, Metagraph } from '#src/chain/types.js'
import { type Hotkey, toNetuid } from '#src/protocol/units.js'
import { Network, type OneMinerPer } from '#src/validator/network.js'

const neuron = (uid: number, ip: string | undefined, coldkey: string, registeredAt: number) => ({
  ...{ uid, hotkey: `h${uid}`, coldkey, registeredAt },
  axon: ip === undefined ? undefined : { ip, port: 8091, version: 1 },
})

/** Two on one address, of which the later has the lower uid; one owner of two; one that does not serve. */
const NEURONS = [
  neuron(0, '192.0.2.1', 'ours', 1),
  neuron(1, '192.0.2.2', 'a', 30),
  neuron(2, '192.0.2.2', 'b', 20),
  neuron(3, '192.0.2.3', 'a', 40),
  neuron(4, undefined, 'b', 10),
  neuron(5, '192.0.2.1', 'ours', 50),
]

function networkOf(oneMinerPer?: OneMinerPer): Network {
  const options = oneMinerPer === undefined ? {} : { oneMinerPer }
  const network = new Network({} as Chain, toNetuid(1), 'h0' as Hotkey, options)
  network.update({ number: 1 } as Head, { neurons: NEURONS } as unknown as Metagraph)
  return network
}
const uids = (network: Network) => network.miners().map(({ uid }) => uid)

describe('the miners of a subnet', () => {
  it('are all that serve but ourselves, whatever they share', () => {
    assert.deepEqual(uids(networkOf()), [1, 2, 3, 5])
    assert.deepEqual(networkOf().shared(), [])
  })

  it('are the first registered on each address, where the policy says so', () => {
    assert.deepEqual(uids(networkOf('ip')), [2, 3, 5])
    assert.deepEqual(networkOf('ip').shared(), [{ uid: 1, with: 2 }])
  })

  it('are the first registered of each coldkey, where the policy says so', () => {
    assert.deepEqual(uids(networkOf('coldkey')), [1, 2, 5])
    assert.deepEqual(networkOf('coldkey').shared(), [{ uid: 3, with: 1 }])
  })
})
