import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createJudge, parseRecord } from '../../scoring/judge/index.js'
import { findFiles, VERIFY, verifyRecord } from '../../scoring/judge/verify.js'
import { createVmafScorer } from '../../scoring/metrics/index.js'
import type { VmafScorer } from '../../scoring/types.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'
import { mediaTools } from './score.js'

const USAGE = `usage: subreel verify RECORD.json [--reference FILE] [--result FILE] [--input FILE] [--json]

Checks a score record without any network. The arithmetic is always done again: pooled values,
score and reason must follow from the frames, gates and parameters in the record. When both files
are given, or lie in the folder of the record (found by size and sha256), they are judged again:
gates must agree, VMAF within ${VERIFY.metric}, the score within ${VERIFY.score}, models by sha256.

Exit code 0 when everything agrees, 1 when something does not.`

const OPTIONS = {
  reference: { type: 'string' },
  result: { type: 'string' },
  input: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  summary: 'check a score record: its arithmetic, and the files where they are at hand',
  usage: USAGE,

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: OPTIONS,
      allowPositionals: true,
    })
    const [path, ...extra] = positionals
    if (path === undefined || extra.length > 0) {
      throw new CliError({ code: 'CLI_USAGE', verb: 'verify' }, USAGE)
    }
    const record = parseRecord(await readFile(path, 'utf8'))
    const found = await findFiles(record, dirname(resolve(path)))
    const files = {
      reference: values.reference ?? found.reference,
      result: values.result ?? found.result,
      input: values.input,
    }
    const media = mediaTools(io)
    let scorer: VmafScorer | undefined
    try {
      const verification = await verifyRecord(
        record,
        files,
        async () => {
          scorer = await createVmafScorer(media)
          const measured = record.task !== 'generation' && record.metrics.vmaf !== undefined
          return createJudge({ vmaf: scorer, media }, { measureRefused: measured })
        },
        io.signal,
      )
      if (values.json) io.out(JSON.stringify(verification, null, 2))
      else {
        for (const { what, recorded, recomputed } of verification.disagreements) {
          io.out(`DIFFERS  ${what}: recorded ${recorded}, found ${recomputed}`)
        }
        const how = verification.measured
          ? 'judged both files again'
          : 'did the arithmetic again; the files are not at hand, so nothing was measured'
        io.out(`${verification.ok ? 'verified' : 'NOT verified'}: ${how}`)
      }
      return verification.ok ? 0 : 1
    } finally {
      await scorer?.close()
    }
  },
}
