import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describeError } from '../../lib/errors.js'
import { type Check, fail, ok } from './check.js'

const TIMEOUT_MS = 5_000

/** Where a validator keeps its state; nothing is created or migrated here. */
export const databaseCheck: Check = {
  name: 'database',
  async run({ config }) {
    const url = config['database.url']?.reveal()
    if (url === undefined || !/^postgres(ql)?:/.test(url)) {
      const path = url ?? join(config['neuron.data_dir'], 'validator.db')
      try {
        await access(path, constants.R_OK | constants.W_OK)
        return ok(`embedded, ${path}`)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT')
          return ok(`embedded, ${path}: a validator makes it when it starts`)
        return fail(`${path}: ${describeError(error)}`, 'give this user the right to write it')
      }
    }
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query<{ server_version: string }>('show server_version')
      return ok(`PostgreSQL ${rows[0]?.server_version ?? ''}`.trim())
    } catch (error) {
      return fail(
        `PostgreSQL: ${describeError(error)}`,
        'check DATABASE_URL and that the server runs',
      )
    } finally {
      await client.end().catch(() => {})
    }
  },
}
