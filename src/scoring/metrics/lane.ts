import { parentPort, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { must } from '../../lib/errors.js'
import type { LaneData, LaneReply, LaneRequest, Tensors, TensorType } from './lane-protocol.js'

// A thread of its own: ONNX Runtime's `run` blocks its thread, here nobody else waits for it.

const port = must(parentPort, 'parent of a lane')
const { device, threads } = workerData as LaneData
const sessions = new Map<string, InferenceSession>()

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
} as const satisfies Record<TensorType, unknown>

function sessionOptions(): InferenceSession.SessionOptions {
  const cuda = /^cuda:(\d+)$/.exec(device)
  return {
    executionProviders: cuda === null ? ['cpu'] : [{ name: 'cuda', deviceId: Number(cuda[1]) }],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  }
}

const elements = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1)

function tensorsOf(feeds: Tensors): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { type, dims, data }]) => [
      name,
      new Tensor(type, new ARRAYS[type](data, 0, elements(dims)) as never, dims),
    ]),
  )
}

function dataOf(outputs: InferenceSession.ReturnType): Tensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => {
      const tensor = value as Tensor
      const view = tensor.data as Float32Array
      const data = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
      return [
        name,
        { type: tensor.type as TensorType, dims: tensor.dims, data: data as ArrayBuffer },
      ]
    }),
  )
}

async function answer(request: LaneRequest): Promise<LaneReply> {
  const { id, model } = request
  try {
    if (request.kind === 'load') {
      sessions.set(model, await InferenceSession.create(request.bytes, sessionOptions()))
      return { kind: 'loaded', id }
    }
    const session = must(sessions.get(model), `session of ${model}`)
    const outputs = await session.run(tensorsOf(request.feeds))
    return { kind: 'ran', id, outputs: dataOf(outputs), feeds: request.feeds }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return {
      kind: 'failed',
      id,
      message,
      feeds: request.kind === 'run' ? request.feeds : undefined,
    }
  }
}

const buffers = (tensors: Tensors | undefined) =>
  Object.values(tensors ?? {}).map((tensor) => tensor.data)

port.on('message', (request: LaneRequest) => {
  void answer(request).then((reply) => {
    const moved = [
      ...(reply.kind === 'ran' ? buffers(reply.outputs) : []),
      ...(reply.kind === 'loaded' ? [] : buffers(reply.feeds)),
    ]
    port.postMessage(reply, moved)
  })
})
