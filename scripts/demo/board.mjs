// What the demo prints: a line for each thing that happens, under them on a terminal a board of the
// miners as they stand, and a summary at the end. Without a terminal the lines alone.
const start = performance.now()
const out = process.stdout

const KINDS = ['compression', 'upscaling', 'generation']
const pad = (text, width) => String(text).padEnd(width)
const elapsed = () => ((performance.now() - start) / 1000).toFixed(0)

export class Board {
  #miners
  #color = out.isTTY === true && process.env.NO_COLOR === undefined
  #live = out.isTTY === true && process.env.TERM !== 'dumb'
  #drawn = 0
  /** uid → { busy: kinds under way, scores: kind → numbers } */
  #standing = new Map()
  #timer

  constructor(miners) {
    this.#miners = miners
    // The clock of the board; lines redraw it at once.
    if (this.#live) this.#timer = setInterval(() => this.#draw(), 1000).unref()
  }

  say(line) {
    this.#erase()
    out.write(`${this.#paint(90, `${elapsed().padStart(4)} s`)}  ${line}\n`)
    this.#draw()
  }

  opened(roundId) {
    const kind = roundId.split('-')[1]
    for (const { uid } of this.#miners) this.#of(uid).busy.add(kind)
    this.say(`round ${roundId} opened`)
  }

  scored({ uid, roundId, outcome, score, reason }) {
    const miner = this.#miners.find((miner) => miner.uid === uid)
    const kind = roundId.split('-')[1]
    const { busy, scores } = this.#of(uid)
    busy.delete(kind)
    scores.set(kind, [...(scores.get(kind) ?? []), score])
    const paint = outcome === 'scored' && score > 0 ? 32 : 31
    this.say(
      `  ${pad(miner?.name ?? `uid ${uid}`, 7)} ${pad(kind, 12)} ${this.#paint(paint, score.toFixed(4))}  ${withoutScore(reason)}`,
    )
  }

  committed(roundId, seconds) {
    this.say(`round ${roundId} committed after ${seconds.toFixed(0)} s`)
  }

  finish({ rounds, weights, promises, report, userResult, kept }) {
    this.close()
    const say = (line = '') => out.write(`${line}\n`)
    const total = [...weights.values()].reduce((sum, value) => sum + value, 0)
    say()
    say('Weights read back from the chain')
    for (const miner of this.#miners) {
      const share = total === 0 ? 0 : (weights.get(miner.uid) ?? 0) / total
      const bar = '#'.repeat(Math.round(40 * share))
      say(`  ${pad(miner.name, 8)} ${(100 * share).toFixed(1).padStart(5)} %  ${bar}`.trimEnd())
    }
    say()
    say('Why')
    for (const miner of this.#miners) {
      say(`  ${miner.name}: ${miner.what}`)
      for (const round of rounds) {
        const answer = round.scores.find(({ uid }) => uid === miner.uid)
        if (answer !== undefined)
          say(
            `    ${pad(round.kind, 12)} ${answer.score.toFixed(4)}  ${withoutScore(answer.reason)}`,
          )
      }
    }
    say()
    say('Promises')
    for (const { what, kept: ok, detail } of promises) {
      const word = ok ? this.#paint(32, 'kept  ') : this.#paint(31, 'BROKEN')
      say(`  ${word} ${what}${detail === '' ? '' : ` (${detail})`}`)
    }
    say()
    say(`Every result can be played in the report: ${report}`)
    if (kept && userResult !== undefined) say(`The user's result: ${userResult}`)
  }

  /** Leaves the lines and takes the board away. */
  close() {
    clearInterval(this.#timer)
    this.#erase()
    this.#live = false
  }

  #of(uid) {
    const standing = this.#standing.get(uid) ?? { busy: new Set(), scores: new Map() }
    this.#standing.set(uid, standing)
    return standing
  }

  #draw() {
    if (!this.#live || this.#standing.size === 0) return
    this.#erase()
    const row = (name, cells) => `  ${pad(name, 9)}${cells.map((text) => pad(text, 18)).join('')}`
    const lines = ['', this.#paint(1, row('miner', KINDS))]
    for (const { uid, name } of this.#miners) {
      const { busy, scores } = this.#of(uid)
      // The last score, of how many, and whether another is under way.
      const cell = (kind) => {
        const got = scores.get(kind) ?? []
        const last = got.length === 0 ? '' : `${got.at(-1).toFixed(4)} (${got.length})`
        return busy.has(kind) ? `${last} …`.trim() : last
      }
      lines.push(row(name, KINDS.map(cell)))
    }
    lines.push(this.#paint(90, `${elapsed().padStart(4)} s`))
    // A line that wraps would count as one and leave its rest behind.
    const width = (out.columns ?? 80) - 1
    const cut = lines.map((line) => (line.includes('\u001b') ? line : line.slice(0, width)))
    out.write(`${cut.join('\n')}\n`)
    this.#drawn = lines.length
  }

  #erase() {
    if (this.#drawn > 0) out.write(`\u001b[${this.#drawn}A\u001b[J`)
    this.#drawn = 0
  }

  #paint(code, text) {
    return this.#color ? `\u001b[${code}m${text}\u001b[0m` : text
  }
}

/** The reason without the score that stands beside it. */
const withoutScore = (reason) => {
  const rest = reason.replace(/^Scored [\d.]+(?:: | by )?/, '')
  return rest === '' ? reason : rest
}
