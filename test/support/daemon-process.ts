import { runDaemon } from '#src/lib/daemon.js'
import { createLog } from '#src/lib/log.js'

/**
 * A daemon whose work never ends by itself. Arguments: the grace period in milliseconds; `deaf` when
 * its work does not heed the abort either, `failing` when it fails once it runs.
 */
process.exitCode = await runDaemon(
  {
    name: 'stubborn',
    log: createLog('stubborn'),
    graceMs: Number(process.argv[2]),
    admin: { host: '127.0.0.1', port: 0 },
  },
  async ({ admin, aborting, resources, log }) => {
    resources.defer('first', () =>
      log.info({ event: 'test.closed', order: 'first opened' }, 'closed'),
    )
    resources.defer('second', () =>
      log.info({ event: 'test.closed', order: 'second opened' }, 'closed'),
    )
    admin.addCheck('moon', async () => {
      throw new Error('the moon is away')
    })
    const working = setInterval(() => {}, 1000)
    return {
      ...(process.argv[3] === 'failing' ? { failed: Promise.reject(new Error('it is lost')) } : {}),
      drained: () =>
        new Promise((resolve) => {
          aborting.addEventListener('abort', () => {
            if (process.argv[3] === 'deaf') return
            clearInterval(working)
            resolve()
          })
        }),
    }
  },
)
