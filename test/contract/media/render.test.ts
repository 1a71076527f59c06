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
let asked = 0
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
    asked += 1
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

/** The picture with the chunk that announces a second one. Its checksum is never looked at. */
function animatedPng(png: Buffer): Buffer {
  const chunk = Buffer.alloc(20)
  chunk.writeUInt32BE(8, 0)
  chunk.write('acTL', 4)
  chunk.writeUInt32BE(2, 8)
  const end = 8 + 25
  return Buffer.concat([png.subarray(0, end), chunk, png.subarray(end)])
}

/** WAV of 8 bits, one channel. */
function silence(seconds: number): Buffer {
  const rate = 8_000
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + seconds * rate, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate, 28)
  head.writeUInt16LE(1, 32)
  head.writeUInt16LE(8, 34)
  head.write('data', 36)
  head.writeUInt32LE(seconds * rate, 40)
  return Buffer.concat([head, Buffer.alloc(seconds * rate, 128)])
}

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

  it('is not run when the file would fill the memory of a server', async () => {
    const still = (background: string, width = 8, height = 8) =>
      sharp({ create: { width, height, channels: 4, background } })
        .png()
        .toBuffer()
    const pair = [await still('#ff0000'), await still('#00ff00')]
    const frames = sharp(pair, { join: { animated: true } })
    images.set('/gif', await frames.clone().gif().toBuffer())
    images.set('/webp', await frames.clone().webp().toBuffer())
    images.set('/apng', animatedPng(await still('#ff0000')))
    images.set('/wide', await still('#000000', 12_000, 1_000))
    images.set('/long', silence(601))
    const before = comfy.ended.length
    for (const path of ['/gif', '/webp', '/apng', '/wide']) {
      const run = render(reading(`${origin}${path}`))
      await assert.rejects(run, code('MEDIA_LIMIT_EXCEEDED'), path)
    }
    const sounding: Workflow = {
      ...reading(`${origin}/red`),
      '4': { class_type: 'LoadAudio', inputs: { audio: `${origin}/long` } },
    }
    await assert.rejects(render(sounding), code('MEDIA_LIMIT_EXCEEDED'))
    assert.equal(comfy.ended.length, before, 'no server saw any of them')
  })

  it('is run with a photo that has a second picture behind the first, as cameras make them', async () => {
    const photo = { create: { width: 32, height: 24, channels: 3, background: '#0000ff' } } as const
    const jpeg = await sharp(photo).jpeg().toBuffer()
    images.set('/photo', Buffer.concat([jpeg, jpeg]))
    assert.equal((await render(reading(`${origin}/photo`))).files.length, 1)
  })

  it('has nothing fetched when the firewall refuses it', async () => {
    const before = asked
    const hostile: Workflow = {
      ...reading(`${origin}/red`),
      '4': { class_type: 'ExecuteShell', inputs: { code: 'id' } },
    }
    await assert.rejects(render(hostile), code('WORKFLOW_REFUSED'))
    assert.equal(asked, before)
  })

  it('is not run when the file is no image, is not there, or must not be fetched', async () => {
    images.set('/script', Buffer.from('#!/bin/sh\necho hello\n'))
    const before = comfy.ended.length
    await assert.rejects(render(reading(`${origin}/script`)), code('MEDIA_FORMAT_REFUSED'))
    await assert.rejects(render(reading(`${origin}/absent`)), code('FETCH_STATUS'))
    const careful = new GuardedFetcher()
    await assert.rejects(render(reading(`${origin}/red`), careful), SubnetError)
    const loaders = Array.from({ length: 9 }, (_, i) => [
      `more${i}`,
      { class_type: 'LoadImage', inputs: { image: `${origin}/red?${i}` } },
    ])
    const many: Workflow = { ...reading(`${origin}/red`), ...Object.fromEntries(loaders) }
    await assert.rejects(render(many), code('MEDIA_LIMIT_EXCEEDED'))
    assert.equal(comfy.ended.length, before, 'no server saw any of them')
  })
})
