// What the demo prints: lines as things happen, a summary at the end.
const start = performance.now()

const pad = (text, width) => String(text).padEnd(width)

export class Board {
  constructor(miners) {
    this.miners = miners
    this.color = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
  }

  say(line) {
    const seconds = ((performance.now() - start) / 1000).toFixed(0).padStart(4)
    process.stdout.write(`${this.#paint(90, `${seconds} s`)}  ${line}\n`)
  }

  scored(uid, roundId, outcome, score, reason) {
    const miner = this.miners[uid - 1]?.name ?? `uid ${uid}`
    const kind = roundId.split('-')[1]
    const paint = outcome === 'scored' && score > 0 ? 32 : 31
    this.say(
      `  ${pad(miner, 7)} ${pad(kind, 12)} ${this.#paint(paint, score.toFixed(4))}  ${reason}`,
    )
  }

  finish({ rounds, miners, weights, promises, report, logDir }) {
    const out = (line = '') => process.stdout.write(`${line}\n`)
    const total = [...weights.values()].reduce((sum, value) => sum + value, 0)
    out()
    out('Weights read back from the chain')
    for (const miner of miners) {
      const share = total === 0 ? 0 : (weights.get(miner.uid) ?? 0) / total
      out(
        `  ${pad(miner.name, 8)} ${(100 * share).toFixed(1).padStart(5)} %  ${'#'.repeat(Math.round(40 * share))}`,
      )
    }
    out()
    out('Why')
    for (const miner of miners) {
      out(`  ${miner.name}: ${miner.what}`)
      for (const round of rounds) {
        const answer = round.scores.find(({ uid }) => uid === miner.uid)
        if (answer !== undefined)
          out(`    ${pad(round.kind, 12)} ${answer.score.toFixed(4)}  ${answer.reason}`)
      }
    }
    out()
    out('Promises')
    for (const { what, kept, detail } of promises) {
      out(
        `  ${kept ? this.#paint(32, 'kept  ') : this.#paint(31, 'BROKEN')} ${what}${detail === '' ? '' : ` (${detail})`}`,
      )
    }
    out()
    out(`Report: ${report}`)
    if (logDir !== undefined) out(`Logs: ${logDir}`)
  }

  #paint(code, text) {
    return this.color ? `\u001b[${code}m${text}\u001b[0m` : text
  }
}
