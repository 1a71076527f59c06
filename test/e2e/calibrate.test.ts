import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { command } from '#src/cli/commands/calibrate.js'
import { DevComfy } from '#src/devcomfy/index.js'
import { calibrationSchema } from '#src/scoring/generation/index.js'

describe('subreel calibrate', () => {
  let dir = ''
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'subreel-test-'))
  })
  after(() => rm(dir, { recursive: true }))

  async function calibrate(...argv: string[]): Promise<string[]> {
    const lines: string[] = []
    const out = (line: string) => void lines.push(line)
    const { signal } = new AbortController()
    assert.equal(await command.run(argv, { out, err: out, env: {}, signal }), 0)
    return lines
  }

  it('fills the table that thresholds are learnt from, and adds to it', async () => {
    await using one = await server('one')
    await using other = await server('other')
    const file = join(dir, 'calibration.json')
    const settings = [
      ...['--comfyui.servers', `${one.address},${other.address}`, '--device', 'cpu'],
      ...['--generation.workflows', 'no-checkpoint', '--comfyui.poll_seconds', '0.2'],
    ]
    await calibrate(file, '1', ...settings)
    const [line] = await calibrate(file, '2', ...settings)
    const table = calibrationSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    assert.deepEqual(
      table.map(({ embedder, gpus, cosines }) => [embedder, gpus, cosines.length]),
      [
        ['efficientnet-lite0', ['cpu', 'cpu'], 1],
        ['efficientnet-lite0', ['cpu', 'cpu'], 2],
      ],
    )
    assert.ok(table.every(({ cosines }) => cosines.every((cosine) => cosine > 0.999)))
    assert.match(line ?? '', /^cpu and cpu: lowest 1\.0000 of 2; threshold 0\.9500 from 0 samples$/)
    assert.equal(one.server.succeeded, 3)
    assert.equal(other.server.succeeded, 3)
  })

  it('says what it lacks', async () => {
    const file = join(dir, 'none.json')
    await assert.rejects(calibrate(file, '--comfyui.servers', 'gpu1'), /two servers at least/)
    const i2v = ['--comfyui.servers', 'gpu1,gpu2', '--generation.workflows', 'wan21-i2v-480p']
    await assert.rejects(calibrate(file, ...i2v), /needs an image/)
    await assert.rejects(calibrate(), /usage: subreel calibrate/)
  })

  async function server(name: string) {
    const made = await DevComfy.start({ folder: join(dir, name) })
    return { server: made, address: made.address, [Symbol.asyncDispose]: () => made.close() }
  }
})
