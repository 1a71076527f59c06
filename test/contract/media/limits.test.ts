// What a hostile file may cost: each limit is seen to be the one that stops it.
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hostileInput } from '#src/media/hostile.js'
import { fileUrl, MediaError, runFfmpeg, runProcess, sandboxTools } from '#src/media/index.js'
import { confine } from '#src/media/sandbox.js'

const MIB = 1024 ** 2
const launch = fileURLToPath(
  new URL('../../../../test/fixtures/media/launch.ref.mp4', import.meta.url),
)
const NOWHERE = ['-f', 'null', '-']
const { prlimit } = await sandboxTools()
const needsPrlimit = prlimit ? {} : { skip: 'there is no prlimit here' }

describe('limits on hostile files', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-limits-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const failing = (code: string, text: RegExp) => (error: unknown) => {
    assert.ok(error instanceof MediaError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    return true
  }

  test('a small file whose one picture takes 288 MB is not given them', async () => {
    const bomb = join(folder, 'bomb.mp4')
    // Fewer pixels than the cap on pixels, of eight bytes each.
    const picture = 'color=gray:size=6000x6000:rate=1:duration=1,format=rgba64be'
    const packed = ['-c:v', 'png', '-pred', 'none', '-compression_level', '1', '-f', 'mov']
    const ffmpeg = (...args: string[]) => runProcess('ffmpeg', ['-nostdin', '-v', 'error', ...args])
    await ffmpeg('-f', 'lavfi', '-i', picture, ...packed, bomb)
    assert.ok((await stat(bomb)).size < 2 * MIB)
    await ffmpeg(...hostileInput(bomb), ...NOWHERE)
    await assert.rejects(
      runFfmpeg([...hostileInput(bomb), ...NOWHERE]),
      failing('MEDIA_PROCESS_FAILED', /allocate memory/),
    )
  })

  test('a decoder gets no more memory than its limit', needsPrlimit, async () => {
    const decode = [...hostileInput(launch), ...NOWHERE]
    await runFfmpeg(decode)
    await assert.rejects(
      runFfmpeg(decode, { maxMemoryBytes: 48 * MIB }),
      failing('MEDIA_PROCESS_FAILED', /./),
    )
  })

  test(
    'a clip without end stops by CPU time, even if nobody watches the clock',
    needsPrlimit,
    async () => {
      const policy = { mode: 'auto', reads: [launch], writes: [], timeoutMs: 1 } as const
      const limits = { ...policy, maxMemoryBytes: 16 * 1024 * MIB, maxFileBytes: 0 }
      const endless = ['-nostdin', ...hostileInput(launch, ['-stream_loop', '-1']), ...NOWHERE]
      const { command, args } = await confine('ffmpeg', endless, limits)
      await assert.rejects(
        runProcess(command, args, { timeoutMs: 120_000 }),
        failing('MEDIA_PROCESS_FAILED', /SIGXCPU|SIGKILL/),
      )
    },
  )

  test('nothing writes a larger file than its limit', needsPrlimit, async () => {
    const out = join(folder, 'large.y4m')
    await assert.rejects(
      runFfmpeg([...hostileInput(launch), fileUrl(out)], { maxFileBytes: MIB }),
      failing('MEDIA_PROCESS_FAILED', /SIGXFSZ|File too large/),
    )
    assert.ok((await stat(out)).size <= MIB)
  })
})
