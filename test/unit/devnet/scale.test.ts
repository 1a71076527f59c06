import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, Reader, toHex } from '#src/devnet/scale/bytes.js'
import {
  bool,
  bytes,
  type Codec,
  compact,
  compactBig,
  decode,
  encodeHex,
  enumOf,
  fixedBytes,
  i64,
  option,
  str,
  struct,
  tuple,
  u8,
  u16,
  u32,
  u64,
  u128,
  variant,
  vec,
} from '#src/devnet/scale/codec.js'

// The SCALE reference's own examples (docs.polkadot.com, "Data encoding"), and edges around them.
const CASES: readonly [string, Codec<never>, unknown, string][] = [
  ['u8', u8 as Codec<never>, 69, '0x45'],
  ['u16', u16 as Codec<never>, 42, '0x2a00'],
  ['u32', u32 as Codec<never>, 16_777_215, '0xffffff00'],
  ['u64', u64 as Codec<never>, 2n ** 64n - 1n, '0xffffffffffffffff'],
  ['u128', u128 as Codec<never>, 3_405_803_781n, '0x057100cb000000000000000000000000'],
  ['i64', i64 as Codec<never>, -1n, '0xffffffffffffffff'],
  ['bool', bool as Codec<never>, true, '0x01'],
  ['compact 0', compact(u16) as Codec<never>, 0, '0x00'],
  ['compact 1', compact(u16) as Codec<never>, 1, '0x04'],
  ['compact 42', compact(u16) as Codec<never>, 42, '0xa8'],
  ['compact 69', compact(u16) as Codec<never>, 69, '0x1501'],
  ['compact 65535', compact(u32) as Codec<never>, 65_535, '0xfeff0300'],
  ['compact big', compactBig(u64) as Codec<never>, 100_000_000_000_000n, '0x0b00407a10f35a'],
  ['vec', vec(u16) as Codec<never>, [4, 8, 15, 16, 23, 42], '0x18040008000f00100017002a00'],
  ['text', str as Codec<never>, 'Hamlet', '0x1848616d6c6574'],
  ['none', option(u8) as Codec<never>, undefined, '0x00'],
  ['some', option(u8) as Codec<never>, 1, '0x0101'],
  ['tuple', tuple<[number, boolean]>(compact(u8), bool) as Codec<never>, [3, false], '0x0c00'],
  ['array', fixedBytes(2) as Codec<never>, Buffer.from('beef', 'hex'), '0xbeef'],
  ['struct', struct('S', { a: u8, b: u16 }) as Codec<never>, { a: 1, b: 2 }, '0x010200'],
]

test('values are written and read as SCALE has them', () => {
  for (const [name, codec, value, hex] of CASES) {
    assert.equal(encodeHex(codec, value as never), hex, name)
    const back: unknown = decode(codec, fromHex(hex))
    if (value instanceof Uint8Array) assert.equal(toHex(back as Uint8Array), hex, name)
    else assert.deepEqual(back, value, name)
  }
})

test('an enum is its index and its fields', () => {
  const codec = enumOf('E', [variant('Empty', 0), variant('Pair', 9, u8, u16)])
  assert.equal(encodeHex(codec, { name: 'Pair', values: [1, 2] }), '0x09010200')
  assert.deepEqual(decode(codec, fromHex('0x00')), { name: 'Empty', values: [] })
  assert.throws(() => decode(codec, fromHex('0x05')), { code: 'DEVNET_SCALE_INVALID' })
})

test('data that ends early or claims too much is refused before anything is allocated', () => {
  const refused = { code: 'DEVNET_SCALE_INVALID' }
  assert.throws(() => decode(u64, fromHex('0x01')), refused)
  assert.throws(() => decode(bytes, fromHex('0x28aa')), refused)
  // A length of 2^62 - 1 items.
  assert.throws(() => decode(vec(u16), fromHex('0x13ffffffffffffff3f')), refused)
  assert.throws(() => fromHex('0xabc'), refused)
  assert.throws(() => new Reader(new Uint8Array(3)).bytes(4), refused)
})
