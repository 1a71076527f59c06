import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { encodeMetadata } from '#src/devnet/metadata/metadata.js'
import { Runtime } from '#src/devnet/runtime/runtime.js'
import { listMetadata, type MetadataListing } from '../support/metadata-listing.js'

/** Where the local chain differs from the real runtime, and why that does not show. */
const KNOWN: Readonly<Record<string, string>> = {
  'Balances.transfer_allow_death': 'accounts have no indices; only `Id` is taken',
  'Balances.transfer_keep_alive': 'accounts have no indices; only `Id` is taken',
  'System.ExtrinsicFailed': 'the kinds of DispatchError that never occur are left out',
  'SubnetInfoRuntimeApi.get_subnet_info_v2':
    'a list that is always empty has pairs, not arrays of two',
  'SubnetInfoRuntimeApi.get_subnets_info_v2': 'the same list',
}
const KNOWN_218: Readonly<Record<string, string>> = {
  'Commitments.set_commitment': 'commitments are those of runtime 393',
  'Commitments.CommitmentOf': 'commitments are those of runtime 393',
  'Commitments.SpaceLimitExceeded': 'commitments are those of runtime 393',
  'Commitments.UnexpectedUnreserveLeftover': 'commitments are those of runtime 393',
  'Core.version': 'the last field was named state_version',
}

for (const [model, version, known] of [
  [393, 16, KNOWN],
  [218, 15, { ...KNOWN, ...KNOWN_218 }],
] as const) {
  test(`the local chain's metadata is that of the real runtime ${model}, for what it has`, () => {
    const url = new URL(`../../../test/fixtures/chain/runtime-${model}.json`, import.meta.url)
    const real = JSON.parse(readFileSync(url, 'utf8')) as MetadataListing
    const ours = listMetadata(encodeMetadata(new Runtime({ model }), version))
    const kinds = Object.keys(real) as (keyof MetadataListing)[]
    const checked = kinds.flatMap((kind) =>
      Object.entries(ours[kind])
        .filter(([name]) => known[name] === undefined)
        .map(([name, line]) => {
          assert.equal(line, real[kind][name], `${kind} ${name}`)
          return name
        }),
    )
    assert.ok(checked.length > 200, `${checked.length} compared`)
  })
}
