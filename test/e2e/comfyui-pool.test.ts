import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { withResolvers } from '#src/lib/resources.js'
import {
  ComfyPool,
  parseComfyServers,
  type Workflow,
  WorkflowFirewall,
} from '#src/media/comfyui/index.js'
import { DevComfyProcess } from '../support/devcomfy-process.js'

const clock = new SystemClock()
const signal = new AbortController().signal

function poolOf(...addresses: string[]) {
  const servers = parseComfyServers(addresses)
  const pool = new ComfyPool({ servers }, { firewall: new WorkflowFirewall({ models: 'any' }) })
  return { pool, [Symbol.asyncDispose]: () => pool.close() }
}

/** One small picture; each number is another prompt. */
function picture(color: number): Workflow {
  return {
    1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
    2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'p' } },
  }
}

describe('a pool of ComfyUI processes', () => {
  it('finishes 100 jobs once each with one server dead and one slow, which gets its share', async (test) => {
    await using fast = await DevComfyProcess.start('--node-ms', '40')
    await using slow = await DevComfyProcess.start('--node-ms', '160')
    await using dead = await DevComfyProcess.start()
    await dead.kill()
    await using t = poolOf(dead.address, slow.address, fast.address)
    const runs = await Promise.all(
      Array.from({ length: 100 }, (_, color) => t.pool.run(picture(color), { signal })),
    )
    assert.equal(new Set(runs.map((run) => run.promptId)).size, 100)
    const ran = { fast: await fast.history(), slow: await slow.history() }
    assert.deepEqual(
      [...ran.fast, ...ran.slow].sort(),
      runs.map((run) => run.promptId).sort(),
      'what the servers ran is what was asked for, nothing twice',
    )
    test.diagnostic(`jobs: fast ${ran.fast.length}, slow ${ran.slow.length}`)
    // A quarter as fast: 20 of 100 by rights. Both lose time besides, which favours the slow one.
    assert.ok(
      ran.slow.length >= 8 && ran.slow.length <= 40,
      `the slow one ran ${ran.slow.length} of 100`,
    )
  })

  it('moves the job of a server that is killed in mid-prompt within 10 s', async (test) => {
    await using doomed = await DevComfyProcess.start('--node-ms', '60000')
    await using other = await DevComfyProcess.start()
    await using both = poolOf(doomed.address, other.address)
    while (both.pool.servers.some(({ state }) => state !== 'up')) {
      await both.pool.ready(signal)
      await clock.sleep(50)
    }
    const onDoomed = withResolvers<void>()
    const occupied = Array.from({ length: 2 }, (_, color) =>
      both.pool.run(picture(color), {
        signal,
        onSubmitted: (_id, server) => {
          if (server === doomed.address) onDoomed.resolve()
        },
      }),
    )
    // The one on the other server is soon done; this one would take two minutes.
    await onDoomed.promise
    await clock.sleep(500)
    const killedAt = clock.monotonic()
    await doomed.kill()
    const runs = await Promise.all(occupied)
    const ms = clock.monotonic() - killedAt
    test.diagnostic(`done elsewhere after ${Math.round(ms)} ms`)
    assert.deepEqual(
      runs.map((run) => run.server),
      [other.address, other.address],
    )
    assert.ok(ms < 10_000, `done elsewhere after ${Math.round(ms)} ms`)
    assert.equal((await other.history()).length, 2)
  })
})
