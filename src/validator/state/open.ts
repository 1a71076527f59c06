import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Dialect, Kysely, Migrator, PostgresDialect, SqliteDialect } from 'kysely'
import Sqlite from 'libsql'
import pg from 'pg'
import type { Config } from '../../config/index.js'
import { ValidatorError } from '../errors.js'
import { migrationProvider } from './migrations.js'
import type { StateSchema } from './schema.js'

export type StateDatabase = Kysely<StateSchema>

/** `postgres://…` for a server, `file:///…` or a path for the embedded database, `:memory:` for tests. */
export type StateLocation = string

/** The database that the settings name. */
export function stateLocation(config: Config): StateLocation {
  return config['database.url']?.reveal() ?? join(config['neuron.data_dir'], 'validator.db')
}

/** The file of an embedded database; undefined for a server or one in memory. */
export function stateFile(location: StateLocation): string | undefined {
  if (/^postgres(ql)?:/.test(location) || location === ':memory:') return undefined
  return location.startsWith('file:') ? fileURLToPath(location) : location
}

const INT8_OID = 20

function dialectFor(location: StateLocation): Dialect {
  if (/^postgres(ql)?:/.test(location)) {
    const types = {
      // Times and sizes stay below 2^53: plain numbers on both databases.
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format as 'text'),
    }
    const pool = new pg.Pool({ connectionString: location, max: 8, types })
    // A server that restarts breaks idle connections, which pg reports as an event that would end
    // the process. The pool opens new ones; a query that fails says so to its caller.
    pool.on('error', () => {})
    return new PostgresDialect({ pool })
  }
  const file = stateFile(location)
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const database = new Sqlite(file ?? location)
  if (file !== undefined) {
    chmodSync(file, 0o600)
    database.exec('pragma journal_mode = wal')
  }
  // full: a committed round survives a power cut. Rounds are seconds apart, the cost does not matter.
  database.exec('pragma synchronous = full; pragma foreign_keys = on; pragma busy_timeout = 5000')
  return new SqliteDialect({ database })
}

/**
 * Opens the validator's database and brings its schema up to date, all or nothing.
 * @throws ValidatorError STATE_UNAVAILABLE, STATE_NEWER
 */
export async function openState(location: StateLocation): Promise<StateDatabase> {
  let db: StateDatabase | undefined
  try {
    db = new Kysely<StateSchema>({ dialect: dialectFor(location) })
    const migrator = new Migrator({ db, provider: migrationProvider })
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
    return db
  } catch (cause) {
    await db?.destroy().catch(() => {})
    const missing = /previously executed migration (\S+) is missing/.exec(
      cause instanceof Error ? cause.message : '',
    )
    if (missing?.[1] !== undefined) {
      throw new ValidatorError(
        { code: 'STATE_NEWER', migration: missing[1] },
        `the database was written by a newer version (it has ${missing[1]}); upgrade Subreel`,
        { cause },
      )
    }
    throw new ValidatorError({ code: 'STATE_UNAVAILABLE' }, 'the database cannot be opened', {
      cause,
    })
  }
}
