import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata, TypeRegistry } from '@polkadot/types'
import { encodeMetadata, metadataVersions } from '#src/devnet/metadata/metadata.js'
import { RUNTIME_MODELS, Runtime } from '#src/devnet/runtime/runtime.js'

interface Item {
  readonly name: { toString(): string }
}
const names = (items: Iterable<Item>): string[] => [...items].map(({ name }) => name.toString())

/** Polkadot-JS as the reader. It warns of extensions that it does not know; here they may be. */
function readBack(data: Uint8Array): Metadata {
  const registry = new TypeRegistry()
  const metadata = new Metadata(registry, `0x${Buffer.from(data).toString('hex')}`)
  return metadata
}

for (const model of RUNTIME_MODELS) {
  for (const version of metadataVersions(new Runtime({ model }))) {
    test(`Polkadot-JS decodes metadata V${version} of runtime ${model}, all of it`, () => {
      const runtime = new Runtime({ model })
      const metadata = readBack(encodeMetadata(runtime, version))
      assert.equal(metadata.version, version)
      const { pallets, apis } = metadata.asLatest
      assert.deepEqual(
        names(pallets),
        runtime.pallets.map(({ name }) => name),
      )
      for (const [i, pallet] of [...pallets].entries()) {
        const own = runtime.pallets[i]
        assert.ok(own)
        assert.equal(pallet.index.toNumber(), own.index, own.name)
        const storage = pallet.storage.isSome ? names(pallet.storage.unwrap().items) : []
        assert.deepEqual(
          storage,
          own.storage.map(({ name }) => name),
          own.name,
        )
      }
      if (version > 14) {
        assert.deepEqual(
          names(apis),
          runtime.apis.map(({ name }) => name),
        )
      }
    })
  }
}

test('an older runtime lacks what came later', () => {
  const old = new Runtime({ model: 218 })
  assert.equal(old.hasCall('SubtensorModule', 'set_weights'), true)
  for (const call of ['set_mechanism_weights', 'commit_timelocked_weights', 'register_limit']) {
    assert.equal(old.hasCall('SubtensorModule', call), false, call)
  }
  assert.equal(new Runtime({ model: 393 }).hasCall('SubtensorModule', 'register_limit'), false)
})

test('an error has the number of its runtime', () => {
  const number = (model: 218 | 393 | 425): number => {
    const value = new Runtime({ model }).moduleError('SubtensorModule', 'SettingWeightsTooFast')
    const [module] = value.values as [{ error: Uint8Array }]
    return module.error[0] ?? -1
  }
  assert.deepEqual([number(218), number(393), number(425)], [30, 28, 29])
})
