import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { type Devnet, type DevnetOptions, startDevnet } from '#src/devnet/index.js'
import { keyOf, send } from '../../support/polkadot.js'
import { RpcClient } from '../../support/rpc.js'
import { withDevnet } from '../../support/with-devnet.js'

interface Header {
  readonly number: string
  readonly parentHash: string
}

async function withRpc(
  options: DevnetOptions,
  use: (rpc: RpcClient, devnet: Devnet) => Promise<void>,
): Promise<void> {
  const devnet = await startDevnet({ blocks: 'manual', ...options })
  const rpc = await RpcClient.open(devnet.url)
  try {
    await use(rpc, devnet)
  } finally {
    rpc.close()
    await devnet.close()
  }
}

test('a drop breaks every connection, and a new one is served', async () => {
  await withRpc({}, async (rpc, devnet) => {
    const closed = once(rpc.socket, 'close')
    devnet.faults.drop()
    const [code] = await closed
    assert.equal(code, 1006)
    const again = await RpcClient.open(devnet.url)
    assert.equal(await again.call('system_chain'), 'Bittensor')
    again.close()
  })
})

test('a stalled node answers but makes no blocks', async () => {
  await withRpc({ blocks: { everyMs: 5 } }, async (rpc, devnet) => {
    const heads = await rpc.call<string>('chain_subscribeNewHeads')
    await rpc.pushed(heads, 3)
    devnet.faults.stall()
    const stuck = (await rpc.call<Header>('chain_getHeader')).number
    for (let i = 0; i < 20; i += 1) await rpc.call('system_health')
    assert.equal((await rpc.call<Header>('chain_getHeader')).number, stuck)
    const before = (await rpc.pushed(heads, 1)).length
    devnet.faults.stall(false)
    await rpc.pushed(heads, before + 1)
  })
})

test('a blackholed socket stays open and says nothing until it is lifted', async () => {
  await withRpc({}, async (rpc, devnet) => {
    devnet.faults.blackhole()
    let answered = false
    void rpc.ask('system_chain').then(() => {
      answered = true
    })
    const pong = once(rpc.socket, 'pong')
    rpc.socket.ping()
    await pong
    assert.equal(answered, false)
    assert.equal(rpc.socket.readyState, WebSocket.OPEN)
    devnet.faults.blackhole(false)
    assert.equal(await rpc.call('system_chain'), 'Bittensor')
    assert.equal(answered, false, 'what was sent meanwhile is lost')
  })
})

test('a fork replaces blocks and what was in them is included again', async () => {
  await withDevnet({ blocks: 'manual', finalityLag: 9 }, async (api, devnet) => {
    devnet.advance(3)
    const tx = api.tx['balances']?.['transferKeepAlive']?.(keyOf('//Bob').address, 1000)
    assert.ok(tx)
    await tx.signAsync(keyOf('//Alice'))
    const rpc = await RpcClient.open(devnet.url)
    const watch = await rpc.call<string>('author_submitAndWatchExtrinsic', tx.toHex())
    devnet.advance()
    const old = devnet.chain.head
    // Not deeper: the extrinsic is anchored in the block before.
    devnet.faults.fork(1)
    assert.equal(devnet.chain.head.number, old.number)
    assert.notEqual(devnet.chain.head.hash, old.hash)
    const gone = await rpc.ask('chain_getHeader', old.hash)
    assert.match(gone.error?.message ?? '', /UnknownBlock/)
    assert.deepEqual(await rpc.pushed(watch, 4), [
      'ready',
      { inBlock: old.hash },
      { retracted: old.hash },
      { inBlock: devnet.chain.head.hash },
    ])
    const nonce = await rpc.call('system_accountNextIndex', keyOf('//Alice').address)
    assert.equal(nonce, 1)
    rpc.close()
  })
})

test('an upgrade in mid-run moves the calls, and a client that reads metadata follows', async () => {
  const subnets = [
    {
      netuid: 1,
      hyperparameters: { servingRateLimit: 0 },
      neurons: [{ hotkey: '//Miner' }],
    },
  ]
  await withDevnet({ subnets, runtime: 393 }, async (api, devnet) => {
    const serve = (port: number) => {
      const tx = api.tx['subtensorModule']?.['serveAxon']?.(1, 1, '3405803781', port, 4, 4, 0, 0)
      assert.ok(tx)
      return tx
    }
    const before = serve(1).method.callIndex.toString()
    assert.equal((await send(api, serve(1), keyOf('//Miner'))).error, undefined)
    const upgraded = new Promise<void>((resolve) => {
      void api.rpc.state.subscribeRuntimeVersion((version) => {
        if (version.specVersion.toNumber() === 425) resolve()
      })
    })
    devnet.faults.upgrade({ model: 425, callIndexShift: 3 })
    await upgraded
    while (api.runtimeVersion.specVersion.toNumber() !== 425) {
      await api.rpc.system.health()
    }
    assert.notEqual(serve(2).method.callIndex.toString(), before)
    assert.equal((await send(api, serve(2), keyOf('//Miner'))).error, undefined)
    assert.ok(api.tx['subtensorModule']?.['registerLimit'])
  })
})

test('scripted refusals hit the named call, the pool, or the handshake, and only so often', async () => {
  await withDevnet({}, async (api, devnet) => {
    const tx = api.tx['balances']?.['transferKeepAlive']?.(keyOf('//Bob').address, 1000)
    const register = api.tx['subtensorModule']?.['burnedRegister']?.(1, keyOf('//New').address)
    assert.ok(tx && register)
    devnet.faults.refuseCalls('TooManyRegistrationsThisBlock', { call: 'burned_register' })
    assert.equal((await send(api, tx, keyOf('//Alice'))).error, undefined)
    const refused = await send(api, register, keyOf('//Alice'))
    assert.equal(refused.error, 'TooManyRegistrationsThisBlock')
    assert.equal((await send(api, register, keyOf('//Alice'))).error, undefined)

    devnet.faults.refuseSubmissions({ code: 1016, message: 'Immediately Dropped' })
    const dropped = await send(api, tx, keyOf('//Alice'))
    assert.match(dropped.error ?? '', /^1016: Immediately Dropped/)
    assert.equal((await send(api, tx, keyOf('//Alice'))).error, undefined)

    devnet.faults.refuseHandshakes(1)
    const turnedAway = new WebSocket(devnet.url)
    const [error] = await once(turnedAway, 'error')
    assert.match(String(error), /429/)
    const rpc = await RpcClient.open(devnet.url)
    rpc.close()
  })
})

test('scripts in any language drive the node by dev_ methods', async () => {
  await withRpc({}, async (rpc) => {
    const unknown = { error: 'NoSuchError' }
    await assert.rejects(
      rpc.call('dev_refuseCalls', unknown),
      /has no error SubtensorModule.NoSuch/,
    )
    assert.equal(await rpc.call('dev_newBlock', 3), 3)
    const now = '0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb'
    assert.equal(await rpc.call('dev_setStorage', [['0x1234', '0x56']]), true)
    await rpc.call('dev_newBlock')
    assert.equal(await rpc.call('state_getStorage', '0x1234'), '0x56')
    assert.notEqual(await rpc.call('state_getStorage', now), null)
    assert.equal(await rpc.call('dev_fork', 2), true)
    assert.equal(await rpc.call('dev_upgrade', { model: 425, specVersion: 500 }), true)
    const version = await rpc.call<{ specVersion: number }>('state_getRuntimeVersion')
    assert.equal(version.specVersion, 500)
    const wrong = await rpc.ask('dev_newBlock', 'many')
    assert.equal(wrong.error?.code, -32_602)
  })
})

test('finality follows at its distance', async () => {
  await withRpc({ finalityLag: 2 }, async (rpc, devnet) => {
    const finalized = await rpc.call<string>('chain_subscribeFinalizedHeads')
    devnet.advance(5)
    const heads = (await rpc.pushed(finalized, 4)) as Header[]
    assert.deepEqual(
      heads.map(({ number }) => number),
      ['0x0', '0x1', '0x2', '0x3'],
    )
    assert.equal(await rpc.call('chain_getFinalizedHead'), devnet.chain.blockAt(3)?.hash)
  })
})

test('hostile messages are answered, not obeyed', async () => {
  await withRpc({}, async (rpc) => {
    const codes = async (...texts: string[]): Promise<number[]> => {
      const out: number[] = []
      for (const text of texts) {
        const answer = once(rpc.socket, 'message')
        rpc.socket.send(text)
        const [raw] = await answer
        out.push((JSON.parse(String(raw)) as { error: { code: number } }).error.code)
      }
      return out
    }
    assert.deepEqual(
      await codes('{', '[]', '{"id":1}', '"text"'),
      [-32_700, -32_600, -32_600, -32_600],
    )
    for (const method of ['__proto__', 'constructor', 'state_nothing']) {
      const answer = await rpc.ask(method)
      assert.equal(answer.error?.code, -32_601, method)
    }
    for (const hex of ['0x', '0x00', '0xff', `0x${'ff'.repeat(200)}`, 'zz', 7]) {
      const answer = await rpc.ask('author_submitExtrinsic', hex)
      assert.ok([1002, -32_602].includes(answer.error?.code ?? 0), JSON.stringify(answer))
    }
    const call = await rpc.ask('state_call', 'NeuronInfoRuntimeApi_get_neurons_lite', '0x')
    assert.equal(call.error?.code, -32_602)
  })
})
