/**
 * A worker as a process of its own, to be killed. Arguments: Redis URL, key prefix, file to append
 * to. Each run appends `start NAME pid` and, when it gets there, `done NAME pid`; the task's payload
 * says what the run does.
 */
import { appendFileSync, existsSync } from 'node:fs'
import { z } from 'zod'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { BullWorkers } from '#src/queue/index.js'
import { QUICK_LOCKS } from './queue-settings.js'

const payloadSchema = z.object({
  name: z.string(),
  workMs: z.number().default(0),
  /** Kill this process in the middle. */
  poison: z.boolean().default(false),
  /** Block the event loop until this file exists, in the first run only. */
  blockUntil: z.string().optional(),
})

const [redisUrl = '', prefix = '', journal = ''] = process.argv.slice(2)
const note = (text: string) => appendFileSync(journal, `${text}\n`)
const clock = new SystemClock()
const workers = new BullWorkers(
  { redisUrl, settings: { ...QUICK_LOCKS, prefix } },
  { log: silentLog(), clock },
)
await workers.work('upscale', 2, async ({ payload, signal, attempt, progress }) => {
  const { name, workMs, poison, blockUntil } = payloadSchema.parse(payload)
  note(`start ${name} ${process.pid}`)
  if (poison) process.kill(process.pid, 'SIGKILL')
  if (blockUntil !== undefined && attempt === 1) {
    const never = new Int32Array(new SharedArrayBuffer(4))
    while (!existsSync(blockUntil)) Atomics.wait(never, 0, 0, 20)
  }
  for (let n = 1; n <= 10; n += 1) {
    await clock.sleep(workMs / 10, signal)
    progress(n / 10)
  }
  note(`done ${name} ${process.pid}`)
  return { name, pid: process.pid }
})
process.send?.('ready')
process.on('SIGTERM', () => {
  void workers.close(300).then(() => process.exit(0))
})
