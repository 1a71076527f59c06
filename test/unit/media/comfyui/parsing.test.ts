import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from '#src/lib/secret.js'
import { ComfyError, parseComfyServers, type Workflow } from '#src/media/comfyui/index.js'
import { isOutOfMemory } from '#src/media/comfyui/memory.js'
import { parseMessage, parsePreview } from '#src/media/comfyui/messages.js'
import { filesOf } from '#src/media/comfyui/outputs.js'
import { ProgressMeter } from '#src/media/comfyui/progress.js'
import { readPythonJson } from '#src/media/comfyui/python-json.js'

const secrets = (...texts: string[]) => texts.map((text) => new Secret(text))

describe('addresses of ComfyUI servers', () => {
  it('fills in scheme and port', () => {
    for (const [given, url] of [
      ['gpu1', 'http://gpu1:8188/'],
      ['gpu1:8189', 'http://gpu1:8189/'],
      ['10.0.0.7', 'http://10.0.0.7:8188/'],
      ['http://gpu1', 'http://gpu1:8188/'],
      ['http://gpu1:80', 'http://gpu1/'],
      ['HTTPS://gpu.example', 'https://gpu.example/'],
      ['https://gpu.example:8443/comfy/', 'https://gpu.example:8443/comfy/'],
      ['[::1]', 'http://[::1]:8188/'],
      ['[fd00::7]:9000', 'http://[fd00::7]:9000/'],
    ] as const) {
      assert.equal(parseComfyServers([given])[0]?.url.href, url, given)
    }
  })

  it('gives each server the token of its own place', () => {
    const servers = parseComfyServers(['a', '', 'b', 'c'], secrets('one', '', '', 'three'))
    assert.deepEqual(
      servers.map((server) => [server.name, server.token?.reveal()]),
      [
        ['a:8188', 'one'],
        ['b:8188', undefined],
        ['c:8188', 'three'],
      ],
    )
  })

  it('prints no token', () => {
    const servers = parseComfyServers(['a'], secrets('hunter2'))
    assert.doesNotMatch(inspect(servers, { depth: 9 }) + JSON.stringify(servers), /hunter2/)
  })

  it('refuses what is no address, one named twice, and tokens that line up with nothing', () => {
    for (const [addresses, tokens] of [
      [[], []],
      [[''], []],
      [['ftp://gpu'], []],
      [['gpu:99999'], []],
      [['gpu:0'], []],
      [['user:password@gpu'], []],
      [['http://gpu?x=1'], []],
      [['gpu', 'http://gpu:8188'], []],
      [['gpu'], ['a', 'b']],
      [
        ['gpu', '', 'other'],
        ['a', 'b', ''],
      ],
    ] as const) {
      assert.throws(
        () => parseComfyServers(addresses, secrets(...tokens)),
        (error) => error instanceof ComfyError && error.code === 'COMFY_SERVER_BAD',
        addresses.join(),
      )
    }
  })
})

describe('what a ComfyUI server says', () => {
  it('ignores frames that it does not know, that are broken or that are for somebody else', () => {
    for (const text of [
      '',
      '{',
      '[]',
      '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":1}}}}',
      '{"type":"toString","data":{}}',
      '{"type":"progress","data":{"prompt_id":"a","node":"3","value":"x","max":4}}',
      '{"type":"executing","data":{"node":null}}',
    ]) {
      assert.equal(parseMessage(text), undefined, text)
    }
    for (const frame of [
      '',
      '00000001',
      '0000000100000009ffd8',
      '0000000400ffffff7b7d',
      // A frame of a video preview, as an extension sends them: numbers before the picture.
      '0000000100000001000000010000000a05abcdefffd8ffe0',
      '0000000700000001',
    ]) {
      assert.equal(parsePreview(Buffer.from(frame, 'hex')), undefined, frame)
    }
  })

  it('is read although Python writes numbers that JSON does not have', () => {
    const text =
      '{"min": -Infinity, "max": Infinity, "at": [NaN, 1], "text": "NaN, \\"Infinity\\""}'
    assert.deepEqual(readPythonJson(text), {
      min: null,
      max: null,
      at: [null, 1],
      text: 'NaN, "Infinity"',
    })
    assert.equal(readPythonJson('<html>'), undefined)
    assert.equal(readPythonJson('{"a": Infinit}'), undefined)
  })

  it('takes files from any list of outputs', () => {
    const file = { filename: 'a.mp4', subfolder: 'x', type: 'output' }
    assert.deepEqual(
      filesOf('7', {
        gifs: [{ ...file, frame_rate: 8 }],
        audio: [{ filename: 'b.flac' }],
        animated: [true],
        text: ['hello'],
        fps: 8,
        none: null,
      }).map((o) => `${o.nodeId} ${o.type}:${o.subfolder}/${o.filename}`),
      ['7 output:x/a.mp4', '7 output:/b.flac'],
    )
    assert.deepEqual(filesOf('7', null), [])
  })

  it('knows when memory ran out', () => {
    const failure = (exceptionType: string, exceptionMessage: string) =>
      isOutOfMemory({ nodeId: '3', classType: 'KSampler', exceptionType, exceptionMessage })
    assert.ok(failure('torch.OutOfMemoryError', 'Allocation on device'))
    assert.ok(failure('torch.cuda.OutOfMemoryError', ''))
    assert.ok(failure('RuntimeError', 'CUDA error: out of memory'))
    assert.ok(failure('RuntimeError', 'MPS backend out of memory (MPS allocated: 17 GB)'))
    assert.ok(
      failure(
        'RuntimeError',
        'DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes',
      ),
    )
    assert.ok(!failure('RuntimeError', 'mat1 and mat2 shapes cannot be multiplied'))
  })
})

describe('progress of a prompt', () => {
  const workflow: Workflow = {
    1: { class_type: 'UNETLoader', inputs: {} },
    3: { class_type: 'KSampler', inputs: { steps: 8 } },
    9: { class_type: 'SaveVideo', inputs: {} },
  }

  it('counts a sampler as its steps', () => {
    const meter = new ProgressMeter(workflow)
    meter.take([{ nodeId: '1', fraction: 1 }])
    assert.equal(meter.fraction, 0.1)
    meter.take([{ nodeId: '3', fraction: 0.5 }])
    assert.equal(meter.fraction, 0.5)
  })

  it('never falls, never reaches 1, and ignores nodes of elsewhere', () => {
    const meter = new ProgressMeter(workflow)
    assert.ok(meter.take([{ nodeId: '3', fraction: 1 }]))
    assert.ok(!meter.take([{ nodeId: '3', fraction: 0.2 }]))
    assert.ok(!meter.take([{ nodeId: '77', fraction: 1 }]))
    assert.equal(meter.fraction, 0.8)
    meter.take(['1', '3', '9'].map((nodeId) => ({ nodeId, fraction: 1 })))
    assert.equal(meter.fraction, 0.99)
  })
})
