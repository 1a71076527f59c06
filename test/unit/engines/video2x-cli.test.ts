import assert from 'node:assert/strict'
import test from 'node:test'
import { UPSCALE_PROFILES } from '#src/engines/upscale/profiles.js'
import { parseProgress, readFeatures, video2xArgs } from '#src/engines/upscale/video2x-cli.js'

const job = {
  source: '/w/in.mp4',
  output: '/w/out.mp4',
  scale: 2,
  profile: UPSCALE_PROFILES.h264,
  device: 1,
  model: undefined,
} as const

test('speaks the options of 6.4.0', () => {
  const features = readFeatures('Video2X 6.4.0\n  --no-copy-streams  Do not copy')
  const args = video2xArgs(features, job).join(' ')
  assert.equal(features.version, '6.4.0')
  assert.match(args, /^-i \/w\/in.mp4 -o \/w\/out.mp4 -p realesrgan -s 2 -d 1 --no-copy-streams /)
  assert.match(args, /-c libx264 --pix-fmt yuv420p -e preset=slow -e crf=18/)
})

test('speaks the options of later builds, and passes none that a build lacks', () => {
  const later = readFeatures(
    '--no-copy-audio-streams --no-copy-subtitle-streams --no-recalculate-pts',
  )
  assert.deepEqual(
    video2xArgs(later, job).filter((arg) => arg.startsWith('--no-')),
    ['--no-copy-audio-streams', '--no-copy-subtitle-streams', '--no-recalculate-pts'],
  )
  assert.ok(!video2xArgs(readFeatures(''), job).some((arg) => arg.startsWith('--no-')))
})

test('reads progress from lines that rewrite themselves', () => {
  const line = '\x1b[Kframe=12/240 (5.00%); fps=3.21; elapsed=00:00:04; remaining=00:01:15'
  assert.equal(parseProgress(line), 0.05)
  assert.equal(parseProgress('[2025-01-01] [info] Video processed successfully'), undefined)
  assert.equal(parseProgress('frame=0/0 (nan%)'), undefined)
})
