import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SystemClock } from '../../lib/clock.js'
import { describeError } from '../../lib/errors.js'
import { silentLog } from '../../lib/log.js'
import { SystemRng } from '../../lib/rng.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { openStore } from '../../storage/index.js'
import { type Check, fail, ok } from './check.js'

/** Puts, reads and deletes one small object, as a miner would. */
export const storeCheck: Check = {
  name: 'store',
  async run({ config, signal }) {
    const type = config['bucket.type']
    await using dir = await tempFolder('subreel-doctor-')
    try {
      const store = await openStore(config, {
        clock: new SystemClock(),
        rng: new SystemRng(),
        log: silentLog(),
      })
      try {
        const content = randomBytes(1024)
        const key = `doctor/${randomBytes(16).toString('hex')}`
        await writeFile(join(dir.path, 'object'), content)
        await store.putFile(key, join(dir.path, 'object'), { signal })
        const read = Buffer.concat(await (await store.get(key, { signal })).toArray())
        await store.delete(key, { signal })
        if (!read.equals(content))
          return fail(`${type}: what was read is not what was put`, 'do not use this store')
        return ok(`${type}: put, get and delete work`)
      } finally {
        await store.close()
      }
    } catch (error) {
      return fail(`${type}: ${describeError(error)}`, 'check bucket.* and the rights of the key')
    }
  },
}
