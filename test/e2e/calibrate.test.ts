import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { command } from '#src/cli/commands/calibrate.js'
import { DevComfy } from '#src/devcomfy/index.js'
import { silentLog } from '#src/lib/log.js'
import { writePackage } from '#src/media/package/index.js'
import { calibrationSchema, createGenerationVerifier } from '#src/scoring/generation/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '#src/workflows/index.js'

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
    const [few] = await calibrate(file, '2', ...settings)
    const [enough] = await calibrate(file, '6', ...settings)
    const table = calibrationSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    assert.deepEqual(
      table.map(({ embedder, gpus, cosines }) => [embedder, gpus, cosines.length]),
      [
        ['efficientnet-lite0', ['cpu', 'cpu'], 2],
        ['efficientnet-lite0', ['cpu', 'cpu'], 6],
      ],
    )
    assert.ok(table.every(({ cosines }) => cosines.every((cosine) => cosine > 0.999)))
    assert.match(few ?? '', /^cpu and cpu: lowest 1\.0000 of 2; threshold 0\.9500 from 0 samples$/)
    assert.match(
      enough ?? '',
      /^cpu and cpu: lowest 1\.0000 of 6; threshold 0\.9900 from 8 samples$/,
    )
    assert.equal(one.server.succeeded, 8)
    assert.equal(other.server.succeeded, 8)
    await judge(file, one.address)
  })

  /** What the validator makes of the table: the miner's card decides which threshold counts. */
  async function judge(calibrationFile: string, address: string): Promise<void> {
    const { verifier, close } = await createGenerationVerifier({
      ...{ servers: [address], tokens: [], pollMs: 200, runTimeoutMs: 60_000, log: silentLog() },
      ...{ device: 'cpu', tools: {}, urls: { http: false, privateAddresses: false } },
      calibrationFile,
    })
    const folder = () => mkdtemp(join(dir, 'judge-'))
    try {
      const { signal } = new AbortController()
      const store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
      const workflow = store.get('no-checkpoint').fill({ seed: 77 })
      const rerun = await verifier.rerun(workflow, await folder(), signal)
      const thresholdOf = async (gpu: string | undefined) => {
        const path = join(await folder(), 'package.zip')
        const files = rerun.files.map(({ file }) => file)
        const facts = rerun.files.map((known) => known.facts)
        const card = gpu === undefined ? {} : { gpu }
        await writePackage(path, files, { version: 1, ...card, files: facts })
        const result = { path, sha256: 'of the package', seconds: 1 }
        const record = await verifier.judge(rerun, result, await folder(), signal)
        assert.ok(record.score > 0.99, record.reason)
        return record.inputs.parameters['threshold']
      }
      assert.deepEqual(await thresholdOf('cpu'), { minCosine: 0.99, samples: 8 })
      const byDefault = { minCosine: 0.95, samples: 0 }
      assert.deepEqual(await thresholdOf('NVIDIA H100'), byDefault, 'an unknown pair')
      assert.deepEqual(await thresholdOf(undefined), byDefault, 'a miner that does not say')
    } finally {
      await close()
    }
  }

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
