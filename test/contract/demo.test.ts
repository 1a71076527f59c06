// What the demo says of options and clips that it cannot use. The demo itself is run by hand.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const demo = (...words: string[]) =>
  spawnSync(process.execPath, ['scripts/demo.mjs', ...words], { encoding: 'utf8' })

test('refuses a clip that is none, or too short, before it starts anything', () => {
  const folder = mkdtempSync(join(tmpdir(), 'subreel-demo-test-'))
  const short = join(folder, 'short.mp4')
  const source = ['-f', 'lavfi', '-i', 'testsrc=s=64x64:d=0.5']
  assert.equal(spawnSync('ffmpeg', ['-v', 'error', ...source, short]).status, 0)
  for (const [clip, reason] of [
    ['none.mp4', /none\.mp4 cannot be used: .*No such file/],
    ['README.md', /README\.md cannot be used: /],
    [short, /is too short: 1\.2 seconds at least/],
  ] as const) {
    const { status, stdout } = demo('--media', clip)
    assert.equal(status, 1, clip)
    assert.match(stdout, reason)
    assert.doesNotMatch(stdout, /working in/)
  }
  rmSync(folder, { recursive: true })
})

test('refuses what is no option, with its usage', () => {
  for (const words of [['--kep'], ['--rounds', '0'], ['clip.mp4']]) {
    const { status, stderr } = demo(...words)
    assert.equal(status, 2, words.join(' '))
    assert.match(stderr, /usage: npm run demo/)
  }
})
