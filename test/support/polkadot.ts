import { ApiPromise, WsProvider } from '@polkadot/api'
import type { SubmittableExtrinsic } from '@polkadot/api/types'
import { Keyring } from '@polkadot/keyring'
import type { KeyringPair } from '@polkadot/keyring/types'
import { cryptoWaitReady } from '@polkadot/util-crypto'

/** Extensions of subtensor that add nothing to an extrinsic, made known so that nobody warns. */
const EMPTY = { extrinsic: {}, payload: {} }
const signedExtensions = {
  SudoTransactionExtension: EMPTY,
  CheckShieldedTxValidity: EMPTY,
  SubtensorTransactionExtension: EMPTY,
  DrandPriority: EMPTY,
  SubtensorSignedExtension: EMPTY,
  CommitmentsSignedExtension: EMPTY,
}

/** Polkadot-JS connected to a node, as a client that shares nothing with it. */
export async function connect(url: string): Promise<ApiPromise> {
  await cryptoWaitReady()
  // The provider's events type predates exactOptionalPropertyTypes.
  const provider = new WsProvider(url, false) as unknown as NonNullable<
    ConstructorParameters<typeof ApiPromise>[0]
  >['provider']
  const api = new ApiPromise({
    ...(provider === undefined ? {} : { provider }),
    noInitWarn: true,
    signedExtensions,
  })
  await api.connect()
  await api.isReadyOrError
  return api
}

export const keyOf = (uri: string): KeyringPair =>
  new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri(uri)

export interface Outcome {
  /** The runtime's error name, the JSON-RPC error text, or `undefined` when the call worked. */
  readonly error: string | undefined
  /** `pallet.Event` in order. */
  readonly events: readonly string[]
}

/** Signs, submits and waits for the block. */
export function send(
  api: ApiPromise,
  tx: SubmittableExtrinsic<'promise'>,
  who: KeyringPair,
  options: object = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    tx.signAndSend(who, { nonce: -1, ...options }, (result) => {
      if (!result.status.isInBlock && !result.status.isFinalized) {
        if (result.isError) resolve({ error: result.status.type, events: [] })
        return
      }
      const { dispatchError } = result
      const error = dispatchError?.isModule
        ? api.registry.findMetaError(dispatchError.asModule).name
        : dispatchError?.toString()
      resolve({
        error,
        events: result.events.map(({ event }) => `${event.section}.${event.method}`),
      })
    }).catch((error: Error) => resolve({ error: error.message, events: [] }))
  })
}
