import { z } from 'zod'

/** An error as JSON-RPC 2.0 sends it. */
export class RpcError extends Error {
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}

export const METHOD_NOT_FOUND = -32_601
export const INVALID_PARAMS = -32_602
export const INTERNAL = -32_603
export const SERVER_ERROR = -32_000

const request = z.object({
  id: z.union([z.number(), z.string(), z.null()]).optional(),
  method: z.string().max(200),
  params: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).optional(),
})

export interface RpcRequest {
  readonly id: number | string | null
  readonly method: string
  readonly params: readonly unknown[]
}

/** Reads one message: a request or a batch. @throws RpcError for anything else */
export function parseMessage(text: string): { batch: boolean; requests: RpcRequest[] } {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new RpcError(-32_700, 'Parse error')
  }
  const parsed = z
    .array(request)
    .min(1)
    .max(1000)
    .safeParse(Array.isArray(json) ? json : [json])
  if (!parsed.success) throw new RpcError(-32_600, 'Invalid request')
  const requests = parsed.data.map(({ id, method, params }) => ({
    id: id ?? null,
    method,
    params: Array.isArray(params) ? params : Object.values(params ?? {}),
  }))
  return { batch: Array.isArray(json), requests }
}

export const result = (id: RpcRequest['id'], value: unknown): object => ({
  jsonrpc: '2.0',
  id,
  result: value ?? null,
})

export const failure = (id: RpcRequest['id'], error: RpcError): object => ({
  jsonrpc: '2.0',
  id,
  error: {
    code: error.code,
    message: error.message,
    ...(error.data === undefined ? {} : { data: error.data }),
  },
})
