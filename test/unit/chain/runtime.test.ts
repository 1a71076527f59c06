import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Connection } from '#src/chain/connection.js'
import type { Transport } from '#src/chain/socket.js'
import { encodeMetadata } from '#src/devnet/metadata/metadata.js'
import { Runtime } from '#src/devnet/runtime/runtime.js'
import { silentLog } from '#src/lib/log.js'
import { FakeClock } from '../../support/fake-clock.js'

const HASH = `0x${'11'.repeat(32)}`
const KEY = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'

/** A node of this runtime whose storage is empty. */
async function connect(
  model: 218 | 393,
  announce: (send: (result: unknown) => void) => void = () => {},
): Promise<Connection> {
  const metadata = Buffer.from(encodeMetadata(new Runtime({ model }), 15)).toString('hex')
  const length = (metadata.length / 2) * 4 + 2
  const size = Buffer.alloc(4)
  size.writeUInt32LE(length)
  const answers: Readonly<Record<string, (params: readonly unknown[]) => unknown>> = {
    chain_getBlockHash: () => HASH,
    chain_getHeader: () => ({ number: '0x1' }),
    rpc_methods: () => ({ methods: [] }),
    state_call: ([, version]) =>
      version === '0x0f000000' ? `0x01${size.toString('hex')}${metadata}` : '0x00',
    state_getRuntimeVersion: () => ({ specName: 'node-subtensor', specVersion: model, apis: [] }),
    state_queryStorageAt: ([keys]) => [{ changes: (keys as string[]).map((key) => [key, null]) }],
    system_chain: () => 'Bittensor',
    system_properties: () => ({}),
  }
  const transport: Transport = {
    endpoint: 'ws://node',
    isOpen: true,
    request: async (method, params) => {
      const answer = answers[method]
      assert.ok(answer, method)
      return answer(params)
    },
    subscribe: async (method, _params, onResult) => {
      if (method === 'chain_subscribeNewHead') announce(onResult)
      return '1'
    },
    unsubscribe: async () => {},
    onClose: () => {},
    close: () => {},
  }
  return Connection.open(transport.endpoint, {
    clock: new FakeClock(),
    log: silentLog(),
    connectTimeoutMs: 1_000,
    requestTimeoutMs: 1_000,
    metadata: new Map(),
    openTransport: async () => transport as never,
  })
}

describe('a runtime read by its metadata', () => {
  it('reads as undefined what it lacks, as the default what is not set', async () => {
    const connection = await connect(218)
    const wanted = {
      tempo: ['SubtensorModule', 'Tempo', 1],
      epochIndex: ['SubtensorModule', 'SubnetEpochIndex', 1],
      uid: ['SubtensorModule', 'Uids', 1, KEY],
      elsewhere: ['Nowhere', 'Nothing'],
    } as const
    assert.deepEqual(await connection.read(HASH, wanted), { tempo: 360, uid: undefined })
    await connection.close()
  })

  it('names what it lacks of what is required, and the runtime', async () => {
    const connection = await connect(218)
    const wanted = { epochIndex: ['SubtensorModule', 'SubnetEpochIndex', 1] } as const
    await assert.rejects(connection.read(HASH, wanted, { required: ['epochIndex'] }), {
      code: 'CHAIN_RUNTIME_LACKS',
      message: /runtime 218 does not have the storage SubtensorModule\.SubnetEpochIndex/,
    })
    const { runtime } = connection
    assert.throws(() => runtime.extrinsic('SubtensorModule', 'set_mechanism_weights', {}), {
      code: 'CHAIN_RUNTIME_LACKS',
      message: /runtime 218 does not have the call SubtensorModule\.set_mechanism_weights/,
    })
    await connection.close()
  })

  it('reads an item that lost its key from one runtime to the next under the same request', async () => {
    for (const model of [218, 393] as const) {
      const connection = await connect(model)
      const { weight } = await connection.read(HASH, {
        weight: ['SubtensorModule', 'TaoWeight', 1],
      })
      assert.ok(weight !== undefined, `runtime ${model}`)
      await assert.rejects(
        connection.read(HASH, { tempo: ['SubtensorModule', 'Tempo'] }),
        { code: 'CHAIN_RUNTIME_LACKS' },
        `runtime ${model}`,
      )
      await connection.close()
    }
  })

  it('outlives a head that is none', async () => {
    let send: (head: unknown) => void = () => {}
    const connection = await connect(393, (onResult) => {
      send = onResult
    })
    const before = connection.head
    for (const parentHash of ['0x123', 'none', { a: 1 }]) send({ number: '0x2', parentHash })
    send({ number: 7 })
    assert.deepEqual(connection.head, before)
    await connection.close()
  })
})
