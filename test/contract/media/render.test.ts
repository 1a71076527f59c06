import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import sharp from 'sharp'
import { DevComfy } from '#src/devcomfy/index.js'
import { SubnetError } from '#src/lib/errors.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import {
  type ComfyPool,
  openComfyPool,
  renderWorkflow,
  type Workflow,
} from '#src/media/comfyui/index.js'

const signal = new AbortController().signal
let dir = ''
let comfy: DevComfy
let pool: ComfyPool
let files: Server
let origin = ''
/** What the server of images answers, by path. */
const images = new Map<string, Buffer>()

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-render-'))
  comfy = await DevComfy.start({ folder: join(dir, 'comfy') })
  pool = await openComfyPool({
    ...{ servers: [comfy.address], tokens: [], log: silentLog() },
    ...{ pollMs: 500, runTimeoutMs: 60_000 },
  })
  files = createServer((request, response) => {
    const body = images.get(request.url ?? '')
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`
})
after(async () => {
  await pool.close()
  await comfy.close()
  await new Promise((resolve) => files.close(resolve))
  await rm(dir, { recursive: true })
})

const reading = (image: string): Workflow => ({
  '1': { class_type: 'LoadImage', inputs: { image } },
  '2': {
    class_type: 'ImageScale',
    inputs: { image: ['1', 0], upscale_method: 'bicubic', width: 64, height: 48, crop: 'disabled' },
  },
  '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'seen' } },
})

const render = async (workflow: Workflow, fetcher = new GuardedFetcher({ allowPrivate: true })) =>
  renderWorkflow(
    workflow,
    { runner: pool, fetcher },
    { dir: await mkdtemp(join(dir, 'out-')), signal },
  )
const code = (wanted: string) => (error: unknown) =>
  error instanceof SubnetError && error.code === wanted

describe('a workflow that reads an image by URL', () => {
  it('gets it fetched, named by its content and uploaded to the server that runs it', async () => {
    const red = { r: 255, g: 0, b: 0 }
    const picture = sharp({ create: { width: 32, height: 24, channels: 3, background: red } })
    images.set('/red', await picture.png().toBuffer())
    const { files: made } = await render(reading(`${origin}/red`))
    assert.equal(made.length, 1)
    const { data, info } = await sharp(made[0]?.path)
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    assert.deepEqual([info.width, info.height], [64, 48])
    const [r = 0, g = 255, b = 255] = data
    assert.ok(r > 240 && g < 16 && b < 16, `${r}, ${g}, ${b}`)
  })

  it('is not run when the file is no image, is not there, or must not be fetched', async () => {
    images.set('/script', Buffer.from('#!/bin/sh\necho hello\n'))
    const before = comfy.ended.length
    await assert.rejects(render(reading(`${origin}/script`)), code('MEDIA_FORMAT_REFUSED'))
    await assert.rejects(render(reading(`${origin}/absent`)), code('FETCH_STATUS'))
    const careful = new GuardedFetcher()
    await assert.rejects(render(reading(`${origin}/red`), careful), SubnetError)
    const many: Workflow = Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [
        String(i),
        { class_type: 'LoadImage', inputs: { image: `${origin}/red?${i}` } },
      ]),
    )
    await assert.rejects(render(many), code('MEDIA_LIMIT_EXCEEDED'))
    assert.equal(comfy.ended.length, before, 'no server saw any of them')
  })
})
