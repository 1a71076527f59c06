import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namedFiles } from '#src/media/ffmpeg.js'
import { frameBytes, hostileInput, sniff } from '#src/media/index.js'

const bytes = (text: string) => Buffer.from(text.padEnd(400, '\0'), 'latin1')

test('tells containers apart by their first bytes', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['\0\0\0\x20ftypisom', 'mp4'],
    ['\x1aE\xdf\xa3', 'matroska'],
    ['RIFF\0\0\0\0AVI ', 'avi'],
    ['RIFF\0\0\0\0WAVE', 'wav'],
    ['OggS', 'ogg'],
    ['DKIF\0\0', 'ivf'],
    ['\x89PNG', 'png'],
    ['\xff\xd8\xff\xe0', 'jpeg'],
    ['PK\x03\x04', 'zip'],
  ]
  for (const [head, format] of cases) assert.equal(sniff(bytes(head)), format, format)
})

test('calls playlists and markup text, whatever the file is named', () => {
  for (const text of ['#EXTM3U\n#EXT-X-VERSION:3\n', '<svg xmlns=', 'ffconcat version 1.0\n']) {
    assert.equal(sniff(Buffer.from(text)), 'text', text)
  }
})

test('rounds chroma planes of odd sizes up', () => {
  assert.equal(frameBytes('yuv420p', 5, 3), 15 + 2 * 6)
  assert.equal(frameBytes('yuv420p10le', 5, 3), 2 * (15 + 12))
  assert.equal(frameBytes('rgb24', 5, 3), 45)
})

test('binds inputs for reading and folders of outputs for writing', () => {
  const named = namedFiles(['-i', 'file:/a/in.mp4', '-i', 'pipe:0', 'file:/b/out.mp4'])
  assert.deepEqual(named, { reads: ['/a/in.mp4'], writes: ['/b'] })
})

test('gives a file name with options in it to ffmpeg as one plain file', () => {
  const args = hostileInput('/tmp/-i;%03d\n.mp4')
  assert.equal(args.at(-1), 'file:/tmp/-i;%03d\n.mp4')
  assert.ok(args.includes('-format_whitelist'))
})
