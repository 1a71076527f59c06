import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runCli } from '#src/cli/cli.js'

const clip = (name: string): string =>
  fileURLToPath(new URL(`../../../test/fixtures/media/${name}`, import.meta.url))

async function subreel(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = []
  const err: string[] = []
  const code = await runCli(argv, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: process.env,
    signal: new AbortController().signal,
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

/** The same words; numbers may differ in the last digits, as they do between processors. */
function sameText(actual: string, expected: string): void {
  const number = /\d+\.\d+/g
  assert.equal(actual.replace(number, '#'), expected.replace(number, '#'))
  const values = actual.match(number) ?? []
  for (const [index, value] of (expected.match(number) ?? []).entries()) {
    const difference = Math.abs(Number(value) - Number(values[index]))
    assert.ok(difference <= 0.02, `${values[index]} where the page says ${value}`)
  }
}

describe('subreel score and verify', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-score-'))
    await copyFile(clip('launch.ref.mp4'), join(folder, 'a.mp4'))
    await copyFile(clip('launch.crf23.mp4'), join(folder, 'b.mp4'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const files = () => ['--reference', join(folder, 'a.mp4'), '--result', join(folder, 'b.mp4')]
  const score = (...more: string[]) =>
    subreel('score', ...files(), '--task', 'compression', '--threshold', '90', ...more)

  it('prints a record with score, reason, gates and every frame, and draws a plot', async () => {
    const plot = join(folder, 'plot.png')
    const { code, out } = await score('--json', '--plot', plot)
    assert.equal(code, 0)
    const record = JSON.parse(out)
    assert.ok(record.score > 0.2 && record.score < 0.6, `score ${record.score}`)
    assert.match(record.reason, /^Scored 0\.\d{4}: VMAF NEG \d+\.\d\d meets the threshold of 90/)
    assert.ok(record.gates.length >= 20)
    assert.ok(record.gates.every((gate: { passed: boolean }) => gate.passed))
    for (const metric of [record.metrics.vmaf, record.metrics.vmafNeg]) {
      assert.equal(metric.frames.length, 36)
      assert.ok(metric.min <= metric.harmonicMean && metric.harmonicMean <= metric.mean)
    }
    const png = await readFile(plot)
    assert.equal(png.subarray(1, 4).toString(), 'PNG')
    await writeFile(join(folder, 'record.json'), out)
  })

  it('verifies the record beside its files by judging them again', async () => {
    const { code, out } = await subreel('verify', join(folder, 'record.json'))
    assert.equal(out, 'verified: judged both files again')
    assert.equal(code, 0)
  })

  it('finds a record out whose score was raised, without any file', async () => {
    const other = await mkdtemp(join(tmpdir(), 'subreel-forged-'))
    try {
      const record = JSON.parse(await readFile(join(folder, 'record.json'), 'utf8'))
      const forged = join(other, 'forged.json')
      await writeFile(forged, JSON.stringify({ ...record, score: record.score + 0.1 }))
      const { code, out } = await subreel('verify', forged)
      assert.equal(code, 1)
      assert.match(out, /DIFFERS {2}score/)
    } finally {
      await rm(other, { recursive: true, force: true })
    }
  })

  it('finds a record out whose frames were raised together with the score', async () => {
    const record = JSON.parse(await readFile(join(folder, 'record.json'), 'utf8'))
    const better = record.metrics.vmafNeg.frames.map((value: number) => Math.min(100, value + 1))
    record.metrics.vmafNeg.frames = better
    await writeFile(join(folder, 'forged.json'), JSON.stringify(record))
    const { code } = await subreel('verify', join(folder, 'forged.json'))
    assert.equal(code, 1)
  })

  it('refuses to verify a record with other files', async () => {
    const { code, err } = await subreel(
      'verify',
      join(folder, 'record.json'),
      '--result',
      join(folder, 'a.mp4'),
    )
    assert.equal(code, 1)
    assert.match(err, /SCORING_RECORD_INVALID/)
  })

  it('explains a refusal to a person', async () => {
    const argv = ['--reference', join(folder, 'a.mp4'), '--result', join(folder, 'a.mp4')]
    const { code, out } = await subreel('score', ...argv, '--task', 'compression')
    assert.equal(code, 0)
    assert.match(out, /^score {3}0\.0000 of 1\nreason {2}Scored 0 by gate file-size: /)
    assert.match(out, /FAIL {2}file-size/)
    assert.match(out, /VMAF NEG +\d+\.\d\d .* 36$/m, 'what was refused is measured all the same')
    const { out: json } = await subreel('score', ...argv, '--task', 'compression', '--json')
    await writeFile(join(folder, 'refused.json'), json)
    const verified = await subreel('verify', join(folder, 'refused.json'))
    assert.equal(verified.out, 'verified: judged both files again')
  })

  it('gives up when its time is over, and says what to do', async () => {
    const { code, err } = await score('--timeout', '0.1')
    assert.equal(code, 1)
    assert.match(err, /MEDIA_TIMEOUT.*--timeout/)
  })

  it('says what is missing on the command line', async () => {
    const { code, err } = await subreel('score', '--result', 'x.mp4', '--task', 'compression')
    assert.equal(code, 2)
    assert.match(err, /--reference is missing/)
  })

  it('blames nobody for a reference that cannot be read', async () => {
    const { code, err } = await subreel(
      'score',
      '--reference',
      join(folder, 'record.json'),
      '--result',
      join(folder, 'b.mp4'),
      '--task',
      'compression',
    )
    assert.equal(code, 1)
    assert.match(err, /SCORING_REFERENCE_UNUSABLE/)
  })

  it('says what docs/how-to/score-two-files.md says, command by command', async () => {
    const page = await readFile('docs/how-to/score-two-files.md', 'utf8')
    const examples = page.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm)
    let seen = 0
    for (const [, commands = '', printed] of examples) {
      let last = ''
      for (const line of commands.trim().split('\n')) {
        const [command = '', target] = line.split(' > ')
        const words = command.split(' ').slice(1)
        const argv = words.map((word) =>
          /\.(mp4|json|png)$/.test(word) ? join(folder, word) : word,
        )
        const { code, out, err } = await subreel(...argv)
        assert.equal(code, 0, `${line}: ${err}`)
        if (target !== undefined) await writeFile(join(folder, target), out)
        last = out
        seen += 1
      }
      if (printed !== undefined) sameText(last.slice(0, printed.trim().length), printed.trim())
    }
    assert.equal(seen, 6)
  })
})
