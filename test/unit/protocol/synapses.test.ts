import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AnySynapse,
  CompressPayloadSchema,
  compressVideos,
  defineSynapse,
  MinerResponseSchema,
  PollResponseSchema,
  parseRequestBody,
  prepareReply,
  prepareRequest,
  TaskStatusCheck,
  TaskWarrant,
  UpscalePayloadSchema,
  upscaleVideos,
  VideoCompression,
  VideoTask,
  VideoUpscaling,
  VideoUpscalingPoll,
} from 'subreel/protocol'
import { z } from 'zod'

const received = <D extends AnySynapse>(definition: D, body: unknown) => {
  const parsed = parseRequestBody(definition, JSON.stringify(body))
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.fault.message)
  return parsed.value
}

describe('scalar and list forms', () => {
  it('fills the list from an old peer, in every field', () => {
    const payload = CompressPayloadSchema.parse({ reference_video_url: 'u', vmaf_threshold: 89 })
    assert.deepEqual(payload.reference_video_urls, ['u'])
    assert.deepEqual(payload.vmaf_thresholds, [89])
    assert.deepEqual(payload.target_codecs, ['av1'])
    assert.deepEqual(payload.codec_modes, ['CRF'])
    assert.deepEqual(payload.target_bitrates, [10])
  })

  it('fills the scalar from a new peer', () => {
    const payload = UpscalePayloadSchema.parse({
      reference_video_urls: ['a', 'b'],
      task_types: ['SD2HD', 'SD24K'],
    })
    assert.equal(payload.reference_video_url, 'a')
    assert.equal(payload.task_type, 'SD2HD')
    assert.deepEqual(upscaleVideos(payload), [
      { url: 'a', taskType: 'SD2HD' },
      { url: 'b', taskType: 'SD24K' },
    ])
  })

  it('lets the list win where both differ', () => {
    const payload = UpscalePayloadSchema.parse({
      reference_video_url: 'old',
      reference_video_urls: ['new'],
    })
    assert.equal(payload.reference_video_url, 'new')
  })

  it('repeats the scalar for videos the lists do not reach', () => {
    const payload = CompressPayloadSchema.parse({
      reference_video_urls: ['a', 'b', 'c'],
      vmaf_thresholds: [93],
      target_codec: 'hevc',
    })
    const videos = compressVideos(payload)
    assert.deepEqual(
      videos.map((video) => [video.vmafThreshold, video.codec]),
      [
        [93, 'hevc'],
        [93, 'hevc'],
        [93, 'hevc'],
      ],
    )
  })

  it('keeps results in step and leaves missing ones empty', () => {
    assert.deepEqual(MinerResponseSchema.parse({}), {
      optimized_video_url: '',
      optimized_video_urls: [],
    })
    assert.deepEqual(MinerResponseSchema.parse({ optimized_video_url: 'r' }).optimized_video_urls, [
      'r',
    ])
    assert.equal(
      MinerResponseSchema.parse({ optimized_video_urls: ['', 'b'] }).optimized_video_url,
      '',
    )
  })

  it('refuses a task without a video', () => {
    for (const schema of [UpscalePayloadSchema, CompressPayloadSchema]) {
      for (const payload of [
        {},
        { reference_video_url: '' },
        { reference_video_urls: ['a', ''] },
      ]) {
        assert.equal(schema.safeParse(payload).success, false, JSON.stringify(payload))
      }
    }
  })

  it('checks ranges', () => {
    const bad = [
      { vmaf_threshold: 101 },
      { vmaf_threshold: -0.1 },
      { target_bitrate: 0 },
      { vmaf_thresholds: [90, 101] },
      { target_codec: '' },
    ]
    for (const fields of bad) {
      const payload = { reference_video_url: 'u', ...fields }
      assert.equal(CompressPayloadSchema.safeParse(payload).success, false, JSON.stringify(fields))
    }
  })
})

describe('synapse bodies', () => {
  it('ignores unknown keys', () => {
    const { request } = received(VideoUpscaling, {
      miner_payload: { reference_video_url: 'u', later: 1 },
      tomorrow: {},
    })
    assert.deepEqual(Object.keys(request), ['miner_payload'])
    assert.ok(!('later' in request.miner_payload))
  })

  it('reads an unknown poll status as unknown, never as failed', () => {
    assert.equal(PollResponseSchema.parse({ status: 'queued' }).status, 'unknown')
    assert.equal(PollResponseSchema.parse({}).status, 'unknown')
    assert.equal(VideoUpscalingPoll.request.safeParse({}).success, false)
  })

  it('declares several kinds of work to those who can read them, one to those who cannot', () => {
    const reply = prepareReply(received(TaskWarrant, {}), { warrant_tasks: [3, 2, 1] })
    assert.equal(reply.response.warrant_task, 2)
    assert.equal(reply.responseMembers, '"warrant_task":2,"warrant_tasks":[3,2,1]')
    const old = TaskWarrant.response.parse({ warrant_task: 1 })
    assert.deepEqual(old.warrant_tasks, [1])
  })

  it('leaves absent fields out, for Python classes that declare `x: str = None`', () => {
    assert.equal(
      prepareRequest(TaskStatusCheck, { task_id: 't' }).members,
      '"task_id":"t","progress":0.0',
    )
    const reply = prepareReply(received(TaskStatusCheck, { task_id: 't' }), { status: 'pending' })
    assert.equal(reply.members, '"task_id":"t","status":"pending","progress":0.0')
  })

  it('writes floats as Python does and repeats the request losslessly', () => {
    const compress = prepareRequest(VideoCompression, {
      miner_payload: { reference_video_url: 'u', vmaf_threshold: 93 },
    })
    assert.match(compress.members, /"vmaf_threshold":93\.0,/)
    const task = parseRequestBody(
      VideoTask,
      '{"workflow_params":{"10":{"seed":18446744073709551615,"cfg":5.0},"9":1}}',
    )
    assert.ok(task.ok)
    assert.deepEqual(Object.keys(task.value.request.workflow_params), ['9', '10'])
    assert.match(
      prepareReply(task.value, {}).members,
      /"workflow_params":\{"10":\{"seed":18446744073709551615,"cfg":5\.0\},"9":1\}/,
    )
  })

  it('throws a coded error for a reply that does not fit', () => {
    assert.throws(() => prepareReply(received(TaskStatusCheck, {}), { progress: 101 }), {
      code: 'PROTOCOL_REPLY_INVALID',
    })
  })
})

describe('defineSynapse', () => {
  const empty = z.object({})

  it('refuses names, fields and types the wire cannot carry', () => {
    const define = (options: Parameters<typeof defineSynapse>[0]) => () => defineSynapse(options)
    const invalid = { code: 'PROTOCOL_DEFINITION_INVALID' }
    assert.throws(define({ name: 'a/b', request: empty, response: empty }), invalid)
    assert.throws(
      define({ name: 'A', request: z.object({ axon: z.string() }), response: empty }),
      invalid,
    )
    assert.throws(
      define({ name: 'A', request: z.object({ at: z.date() }), response: empty }),
      invalid,
    )
    assert.throws(
      define({ name: 'A', request: empty, response: empty, requiredHashFields: ['b' as never] }),
      invalid,
    )
  })

  it('tells int from float by the schema when it hashes', () => {
    const definition = defineSynapse({
      name: 'A',
      request: z.object({ i: z.int(), f: z.number(), n: z.string().optional() }),
      response: empty,
      requiredHashFields: ['i', 'f', 'n'],
    })
    const prepared = prepareRequest(definition, { i: 5, f: 5 })
    assert.equal(prepared.members, '"i":5,"f":5.0,"n":null')
    assert.deepEqual(prepared.placeholders, [
      'bt_header_input_obj_i',
      'MA==',
      'bt_header_input_obj_f',
      'MC4w',
    ])
  })
})
