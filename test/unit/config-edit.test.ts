import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError, loadConfig, withNumbers } from '#src/config/index.js'

const SLOTS = { 'miner.upscale_slots': 3, 'miner.compress_slots': 2 } as const
const read = (text: string) =>
  loadConfig({ argv: ['--config', 'x'], env: {}, readFile: () => text }).config

describe('setting numbers in a configuration file', () => {
  it('makes a file from nothing', () => {
    const config = read(withNumbers('', SLOTS))
    assert.equal(config['miner.upscale_slots'], 3)
    assert.equal(config['miner.compress_slots'], 2)
  })

  it('replaces what was there, dotted or in its table, and keeps the rest and the comments', () => {
    const dotted = '# mine\nnetuid = 85\nminer.upscale_slots = 1 # old\nredis.url = "redis://r:1"\n'
    const tabled =
      '# mine\nnetuid = 85\n[miner]\nupscale_slots = 1\ntasks = ["upscaling"]\n[redis]\n'
    for (const text of [dotted, tabled]) {
      const edited = withNumbers(text, SLOTS)
      assert.match(edited, /^# mine$/m, text)
      const config = read(edited)
      assert.equal(config.netuid, 85, text)
      assert.equal(config['miner.upscale_slots'], 3, text)
      assert.equal(withNumbers(edited, SLOTS), edited, 'once more changes nothing')
    }
  })

  it('touches no file that it does not understand', () => {
    assert.throws(() => withNumbers('[miner\n', SLOTS), ConfigError)
    assert.throws(() => withNumbers('nonsense = 1\n', SLOTS), ConfigError)
  })
})
