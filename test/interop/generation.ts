// Real Python dendrites with subnet 99's VideoTask against a real miner with Redis and a stand-in ComfyUI:
// the codes and words that its validators look at. Needs what scripts/interop.mjs installs. Ends with
// `N passed, N failed`.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DevComfy } from '#src/devcomfy/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '#src/workflows/index.js'
import { MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { TestRedis } from '../support/redis.js'
import { PythonHelper, Report } from './helper.js'

const SDKS = ['10.5.0', '8.5.2']

interface Answer {
  readonly status: number | null
  readonly message: string | null
  readonly fields: Record<string, unknown>
}

type Check = (fields: Record<string, unknown>, answer: Answer) => void
interface Call {
  readonly what: string
  readonly name?: string
  readonly fields: Record<string, unknown>
  readonly verify: Check
}

/** The pair that a validator of subnet 99 looks at. */
const is =
  (status: number, error: string | RegExp): Check =>
  (fields, answer) => {
    assert.equal(answer.status, 200, answer.message ?? '')
    assert.equal(fields['status_code'], status, String(fields['error']))
    if (typeof error === 'string') assert.equal(fields['error'], error)
    else assert.match(String(fields['error']), error)
  }

const report = new Report()

async function calls(
  sdk: string,
  uri: string,
  at: Record<string, unknown>,
  list: readonly Call[],
): Promise<void> {
  const steps = list.map(({ name = 'VideoTask', fields }) => ({ name, fields, timeout: 30 }))
  await using python = new PythonHelper(
    sdk,
    'legacy_dendrite.py',
    { ...at, uri, calls: steps },
    false,
  )
  for (const { what, verify } of list) {
    await report.check(`dendrite ${sdk} -> our miner: ${what}`, async () => {
      const answer = await python.next<Answer>()
      verify(answer.fields, answer)
    })
  }
}

const { dir, remove } = await scratch()
const redis = await TestRedis.start()
const comfy = await DevComfy.start({ folder: join(dir, 'comfy') })
const uploads = createServer((request, response) => {
  request.resume().on('end', () => response.end())
})
await new Promise<void>((resolve) => uploads.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${(uploads.address() as AddressInfo).port}`
const target = await minerTarget()
const miner = await MinerProcess.start({
  redisUrl: redis.url,
  dir,
  port: target.port,
  flags: ['--comfyui.servers', comfy.address, '--miner.tasks', 'generation'],
})
try {
  const store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
  const workflow = store.get('no-checkpoint').fill({ seed: 1, width: 96, height: 64 })
  const at = { ip: target.ip, port: target.port, hotkey: target.hotkey }
  for (const sdk of SDKS) {
    const task = (task_id: string = randomUUID(), workflow_params: unknown = workflow) => ({
      ...{ task_id, workflow_params, file_name: task_id, secret_key: 'k' },
      ...{ upload_url: `${origin}/${task_id}`, preview_url: `${origin}/preview` },
    })
    const [first, second] = [task(), task()]
    const broken = { ...workflow, '6': { class_type: 'NoSuchNode', inputs: {} } }
    await calls(sdk, '//Bob', at, [
      {
        what: 'is told that ComfyUI runs here',
        name: 'ComfySupport',
        fields: {},
        verify: (fields) => assert.equal(fields['supports_comfy'], true),
      },
      {
        what: 'is told of room by fields that it knows',
        name: 'MinerCapacity',
        fields: {},
        verify: (fields) => {
          assert.equal(fields['available'], true)
          assert.equal(fields['max_concurrent_tasks'], 1)
        },
      },
      {
        what: 'has a workflow accepted, every field kept',
        fields: first,
        verify: (fields, answer) => {
          is(200, '')(fields, answer)
          for (const [name, value] of Object.entries(first))
            assert.deepEqual(fields[name], value, name)
          assert.equal(fields['video_url'], first.upload_url)
          assert.match(String(fields['prompt_id']), /^[0-9a-f-]{36}$/)
          assert.equal(fields['proxy_comfy_port'], target.port + 1)
          for (const name of [
            'proxy_comfy_url',
            'proxy_signature',
            'proxy_task_id',
            'http_view_url',
          ])
            assert.notEqual(fields[name], '', name)
        },
      },
      {
        what: 'is told that a task exists',
        fields: first,
        verify: is(400, 'Task already exists'),
      },
      {
        what: 'is told that the id is missing',
        fields: { ...task(), task_id: '' },
        verify: is(400, 'Missing task_id or workflow_params'),
      },
      {
        what: 'is told that the workflow is missing',
        fields: task(randomUUID(), {}),
        verify: is(400, 'Missing task_id or workflow_params'),
      },
      {
        what: 'is told that a workflow cannot be run',
        fields: { ...second, workflow_params: broken },
        verify: (fields) => {
          assert.ok([400, 500].includes(Number(fields['status_code'])))
          assert.notEqual(fields['error'], '')
        },
      },
      { what: 'may send that task again', fields: second, verify: is(200, '') },
      {
        what: 'is told how the first task is',
        name: 'TaskStatusCheck',
        fields: { task_id: first.task_id, secret_key: 'k' },
        verify: (fields) =>
          assert.ok(['pending', 'processing', 'completed'].includes(String(fields['status']))),
      },
    ])
    await calls(sdk, '//Charlie', at, [
      {
        what: 'is refused for its stake',
        fields: task(),
        verify: is(403, /^Stake below minimum: 100/),
      },
    ])
  }
  await comfy.close()
  await miner.event('lane.paused', 60_000)
  const alone = {
    ...{ task_id: randomUUID(), workflow_params: workflow },
    upload_url: `${origin}/x`,
  }
  for (const sdk of SDKS) {
    await calls(sdk, '//Bob', at, [
      {
        what: 'is told that no server is there',
        fields: alone,
        verify: is(500, /^No available ComfyUI servers/),
      },
    ])
  }
} finally {
  await miner.end()
  await comfy.close()
  await new Promise((resolve) => uploads.close(resolve))
  await redis.close()
  await remove()
}
process.exitCode = report.end()
