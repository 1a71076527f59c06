import { blake2b } from '@noble/hashes/blake2.js'
import { decodeAddress } from '../../wallet/ss58.js'
import type { Block } from '../block.js'
import type { DevChain } from '../chain.js'
import { decodeExtrinsic } from '../extrinsic.js'
import { callApi } from '../pallets/api-calls.js'
import type { TransactionStatus } from '../pool.js'
import { opaqueExtrinsic } from '../runtime/apis.js'
import type { runtimeVersion } from '../runtime/frame-types.js'
import { System } from '../runtime/system.js'
import { toHex } from '../scale/bytes.js'
import { encode, type Value } from '../scale/codec.js'
import type { View } from '../state/view.js'
import type { Connection } from './connection.js'
import { RpcError, SERVER_ERROR } from './json-rpc.js'
import { blockNumber, count, data, hash, key, keys, param, subscriptionId, text } from './params.js'

export type RpcMethod = (params: readonly unknown[], connection: Connection) => unknown

const hexOrNull = (value: Uint8Array | undefined): string | null =>
  value === undefined ? null : toHex(value)

/** How JSON shows the runtime version. */
function versionJson(version: Value<typeof runtimeVersion>): object {
  return {
    specName: version.spec_name,
    implName: version.impl_name,
    authoringVersion: version.authoring_version,
    specVersion: version.spec_version,
    implVersion: version.impl_version,
    apis: version.apis.map(([id, number]) => [toHex(id), number]),
    transactionVersion: version.transaction_version,
    stateVersion: version.system_version,
  }
}

/** The methods of a Substrate node that Polkadot-JS and the Python SDK use. */
export function nodeMethods(chain: DevChain): Record<string, RpcMethod> {
  return {
    ...systemMethods(chain),
    ...chainMethods(chain),
    ...stateMethods(chain),
    ...authorMethods(chain),
  }
}

function systemMethods(chain: DevChain): Record<string, RpcMethod> {
  const nextIndex: RpcMethod = (params) => {
    const account = toHex(decodeAddress(param(params, 0, text)))
    const onChain = chain.stateAt().read(System.Account, account).nonce
    return chain.pool.nextNonce(account, onChain)
  }
  return {
    system_chain: () => 'Bittensor',
    system_chainType: () => 'Development',
    system_name: () => 'Subreel devnet',
    system_version: () => '1.0.0',
    system_properties: () => ({ ss58Format: 42, tokenDecimals: 9, tokenSymbol: 'TAO' }),
    system_health: () => ({ peers: 0, isSyncing: false, shouldHavePeers: false }),
    system_peers: () => [],
    system_syncState: () => ({
      startingBlock: 0,
      currentBlock: chain.head.number,
      highestBlock: chain.head.number,
    }),
    system_accountNextIndex: nextIndex,
    account_nextIndex: nextIndex,
  }
}

function chainMethods(chain: DevChain): Record<string, RpcMethod> {
  const heads =
    (event: string): RpcMethod =>
    (_, connection) =>
      connection.subscribe(event, (push) => {
        push(chain.head.header)
        return chain.onHead((block) => push(block.header))
      })
  const finalizedHeads: RpcMethod = (_, connection) =>
    connection.subscribe('chain_finalizedHead', (push) => {
      push(chain.finalized.header)
      return chain.onFinalized((block) => push(block.header))
    })
  const hashAt: RpcMethod = (params) => {
    const number = param(params, 0, blockNumber)
    return (number === undefined ? chain.head : chain.blockAt(number))?.hash
  }
  const unsubscribe: RpcMethod = (params, connection) =>
    connection.unsubscribe(param(params, 0, subscriptionId))
  const finalizedHead: RpcMethod = () => chain.finalized.hash
  return {
    chain_getBlockHash: hashAt,
    chain_getHead: hashAt,
    chain_getHeader: (params) => chain.block(param(params, 0, hash)).header,
    chain_getFinalizedHead: finalizedHead,
    chain_getFinalisedHead: finalizedHead,
    chain_getBlock: (params) => {
      const block = chain.block(param(params, 0, hash))
      const extrinsics = block.extrinsics.map(toHex)
      return { block: { header: block.header, extrinsics }, justifications: null }
    },
    chain_subscribeNewHead: heads('chain_newHead'),
    chain_subscribeNewHeads: heads('chain_newHead'),
    chain_subscribeAllHeads: heads('chain_allHead'),
    chain_subscribeFinalizedHeads: finalizedHeads,
    chain_subscribeFinalisedHeads: finalizedHeads,
    chain_unsubscribeNewHead: unsubscribe,
    chain_unsubscribeNewHeads: unsubscribe,
    chain_unsubscribeAllHeads: unsubscribe,
    chain_unsubscribeFinalizedHeads: unsubscribe,
    chain_unsubscribeFinalisedHeads: unsubscribe,
  }
}

function stateMethods(chain: DevChain): Record<string, RpcMethod> {
  const storageAt = (params: readonly unknown[], block: number): Uint8Array | undefined =>
    chain.stateAt(param(params, block, hash)).get(param(params, 0, key))
  const getStorage: RpcMethod = (params) => hexOrNull(storageAt(params, 1))
  const changes = (view: View, wanted: readonly string[]): [string, string | null][] =>
    wanted.map((each) => [`0x${each}`, hexOrNull(view.get(each))])
  const queryAt: RpcMethod = (params) => {
    const at = param(params, 1, hash)
    const wanted = param(params, 0, keys)
    return [{ block: chain.block(at).hash, changes: changes(chain.stateAt(at), wanted) }]
  }
  const keysPaged: RpcMethod = (params) => {
    const after = params[2] === null || params[2] === undefined ? '' : param(params, 2, key)
    return chain
      .stateAt(param(params, 3, hash))
      .keys(param(params, 0, key))
      .filter((each) => each > after)
      .slice(0, param(params, 1, count))
      .map((each) => `0x${each}`)
  }
  const version: RpcMethod = (params) =>
    versionJson(chain.runtimeAt(param(params, 0, hash)).version)
  const subscribeVersion: RpcMethod = (_, connection) =>
    connection.subscribe('state_runtimeVersion', (push) => {
      push(versionJson(chain.runtime.version))
      return chain.onUpgrade((runtime) => push(versionJson(runtime.version)))
    })
  const unsubscribe: RpcMethod = (params, connection) =>
    connection.unsubscribe(param(params, 0, subscriptionId))
  return {
    state_getRuntimeVersion: version,
    chain_getRuntimeVersion: version,
    state_subscribeRuntimeVersion: subscribeVersion,
    chain_subscribeRuntimeVersion: subscribeVersion,
    state_unsubscribeRuntimeVersion: unsubscribe,
    chain_unsubscribeRuntimeVersion: unsubscribe,
    state_getMetadata: (params) =>
      toHex(chain.metadata(chain.runtimeAt(param(params, 0, hash)), 14)),
    state_call: cachedStateCall(chain),
    state_getStorage: getStorage,
    state_getStorageAt: getStorage,
    state_getStorageSize: (params) => storageAt(params, 1)?.length,
    state_getStorageHash: (params) => {
      const value = storageAt(params, 1)
      return value === undefined ? null : toHex(blake2b(value, { dkLen: 32 }))
    },
    state_queryStorageAt: queryAt,
    state_getKeysPaged: keysPaged,
    state_getKeysPagedAt: keysPaged,
    state_subscribeStorage: (params, connection) => {
      const wanted = param(params, 0, keys)
      return connection.subscribe('state_storage', (push) => {
        const last = new Map<string, string | null>()
        const report = (block: Block): void => {
          const fresh = changes(chain.stateAt(block.hash), wanted).filter(
            ([each, value]) => last.get(each) !== value,
          )
          for (const [each, value] of fresh) last.set(each, value)
          if (fresh.length > 0) push({ block: block.hash, changes: fresh })
        }
        report(chain.head)
        return chain.onHead(report)
      })
    },
    state_unsubscribeStorage: unsubscribe,
  }
}

/** Answers of runtime APIs by block, call and arguments: many clients ask the same of one block. */
const KEPT_ANSWERS = 32

type StateCall = (params: readonly unknown[]) => string

function cachedStateCall(chain: DevChain): StateCall {
  const answers = new Map<string, string>()
  return (params) => {
    const block = chain.block(param(params, 2, hash))
    const call = `${block.hash} ${param(params, 0, text)} ${toHex(param(params, 1, data))}`
    const known = answers.get(call)
    if (known !== undefined) return known
    const answer = stateCall(chain, params)
    const [oldest] = answers.keys()
    if (answers.size >= KEPT_ANSWERS && oldest !== undefined) answers.delete(oldest)
    answers.set(call, answer)
    return answer
  }
}

function stateCall(chain: DevChain, params: readonly unknown[]): string {
  const name = param(params, 0, text)
  const at = param(params, 2, hash)
  const runtime = chain.runtimeAt(at)
  const context = {
    runtime,
    state: chain.stateAt(at),
    block: chain.block(at).number,
    metadata: (version: 14 | 15 | 16) => chain.metadata(runtime, version),
    isFree: (extrinsic: Uint8Array) =>
      decodeExtrinsic(encode(opaqueExtrinsic, extrinsic), runtime).call.free,
  }
  const answer = callApi(context, name, param(params, 1, data))
  if (answer === undefined) {
    const why = `Execution failed: Exported method ${name} is not found`
    throw new RpcError(SERVER_ERROR, `Client error: ${why}`)
  }
  return toHex(answer)
}

function authorMethods(chain: DevChain): Record<string, RpcMethod> {
  const isLast = (status: TransactionStatus): boolean =>
    status === 'invalid' ||
    status === 'dropped' ||
    (typeof status === 'object' && 'finalized' in status)
  return {
    author_submitExtrinsic: (params) => chain.submit(param(params, 0, data)).hash,
    author_submitAndWatchExtrinsic: (params, connection) => {
      const extrinsic = param(params, 0, data)
      return connection.subscribe('author_extrinsicUpdate', (push) => {
        let done = false
        const listener = (status: TransactionStatus): void => {
          if (!done) push(status)
          done = isLast(status)
        }
        const pooled = chain.submit(extrinsic, listener)
        return () => pooled.listeners.delete(listener)
      })
    },
    author_unwatchExtrinsic: (params, connection) =>
      connection.unsubscribe(param(params, 0, subscriptionId)),
    author_pendingExtrinsics: () => chain.pool.all().map((pooled) => toHex(pooled.data)),
    payment_queryInfo: (params) => {
      const extrinsic = param(params, 0, data)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(extrinsic.length)
      const info = Buffer.concat([extrinsic, length])
      return stateCall(chain, ['TransactionPaymentApi_query_info', toHex(info), params[1]])
    },
  }
}
