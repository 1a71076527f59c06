import { z } from 'zod'
import { ValidatorError } from '../errors.js'
import type { StateDatabase } from './open.js'

/** Tables in an order in which rows that are referred to come first, each with what orders its rows. The lease stays behind. */
const KEYS = {
  miners: ['netuid', 'hotkey'],
  tasks: ['task_id'],
  task_history: ['id'],
  rounds: ['round_id'],
  scores: ['id'],
  weight_sets: ['id'],
  emission_snapshots: ['netuid', 'epoch', 'uid'],
  validator_reports: ['netuid', 'validator', 'hotkey', 'kind'],
} as const
const TABLES = [
  'miners',
  'tasks',
  'task_history',
  'rounds',
  'scores',
  'weight_sets',
  'emission_snapshots',
  'validator_reports',
] as const satisfies readonly (keyof typeof KEYS)[]

const NUMBERED: ReadonlySet<string> = new Set(['task_history', 'scores'])
/** Rows in memory at once, where a table can be long. */
const PAGE = 256

const Line = z.object({ table: z.enum(TABLES), row: z.record(z.string(), z.unknown()) })

/** The whole state as JSON lines in one order on every database, for a backup or a move to another. */
export async function* exportState(db: StateDatabase): AsyncGenerator<string> {
  for (const table of TABLES) {
    for await (const row of rowsOf(db, table)) {
      // Numbered by the new database: PostgreSQL's counters do not follow ids that are given.
      if (NUMBERED.has(table)) delete row['id']
      yield JSON.stringify({ table, row })
    }
  }
}

async function* rowsOf(
  db: StateDatabase,
  table: (typeof TABLES)[number],
): AsyncGenerator<Record<string, unknown>> {
  const [key, ...more] = KEYS[table]
  // The columns of a table that a variable names are beyond the query builder's types.
  const rows = db.selectFrom(table as 'scores').selectAll()
  if (more.length > 0) {
    const ordered = more.reduce(
      (query, column) => query.orderBy(column as 'id'),
      rows.orderBy(key as 'id'),
    )
    yield* await ordered.execute()
    return
  }
  for (let last: unknown; ; ) {
    const page = await (last === undefined ? rows : rows.where(key as 'id', '>', last as never))
      .orderBy(key as 'id')
      .limit(PAGE)
      .execute()
    // Whoever reads a row may change it.
    last = (page.at(-1) as Record<string, unknown> | undefined)?.[key]
    yield* page
    if (page.length < PAGE) return
  }
}

/**
 * Reads what exportState wrote into an empty database, whole or not at all. Returns the rows read.
 * @throws ValidatorError STATE_IMPORT_REFUSED
 */
export async function importState(
  db: StateDatabase,
  lines: AsyncIterable<string>,
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    for (const table of TABLES) {
      const found = await trx.selectFrom(table).selectAll().limit(1).executeTakeFirst()
      if (found !== undefined) throw refused(`the database is not empty: ${table} has rows`)
    }
    let rows = 0
    for await (const text of lines) {
      if (text.trim() === '') continue
      const line = parseLine(text, rows + 1)
      // An older export holds the numbers of its database.
      if (NUMBERED.has(line.table)) delete line.row['id']
      // Shapes are the database's own: a wrong column is refused by it and undoes everything.
      await trx
        .insertInto(line.table)
        .values(line.row as never)
        .execute()
      rows += 1
    }
    return rows
  })
}

function parseLine(text: string, number: number): z.output<typeof Line> {
  try {
    return Line.parse(JSON.parse(text))
  } catch (cause) {
    throw refused(`line ${number} is not a row of an export`, cause)
  }
}

const refused = (why: string, cause?: unknown) =>
  new ValidatorError({ code: 'STATE_IMPORT_REFUSED' }, `nothing was imported: ${why}`, { cause })
