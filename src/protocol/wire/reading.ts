import type { AnySynapse, ResponseOf } from '../synapse.js'
import { readJson } from './json.js'
import { type HeaderBag, parseFloatText } from './legacy.js'
import { firstProblem } from './legacy-request.js'
import { isPyDict, type PyDict, PyFloat, type PyValue } from './python.js'

/** What a reply says, by the rules of the Python dendrite. */
export interface ReplyReading<D extends AnySynapse = AnySynapse> {
  /**
   * The status a Python dendrite would report: the header's, else the body's, else HTTP's. Undefined
   * for an HTTP 200 that names none, which is no success.
   */
  readonly status: number | undefined
  readonly message: string | undefined
  /** There when HTTP said 200 and the body fits the synapse. */
  readonly response: ResponseOf<D> | undefined
  /** The peer's own figure, in seconds. */
  readonly processTimeS: number | undefined
  /** False when the body or a header could not be read; the status is then 422. */
  readonly readable: boolean
  /** True when the reply carries headers of the legacy protocol. */
  readonly legacy: boolean
}

export interface ReplyText {
  readonly status: number
  readonly headers: HeaderBag
  readonly body: string
}

const JSON_TYPE = /^application\/(?:[\w.+-]+?\+)?json\s*(?:;|$)/i
const INT_HEADERS = /^bt_header_(?:axon|dendrite)_(?:status_code|port|version|nonce)$/
const FLOAT_HEADERS = /^(?:timeout|bt_header_(?:axon|dendrite)_process_time)$/
const SIZE_HEADERS = /^(?:header_size|total_size)$/
const INTEGER = /^\s*[+-]?[0-9]+\s*$/

const text = (headers: HeaderBag, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.at(-1)
}

/** True when a reply carries headers of the legacy protocol, whatever its status. */
export const isLegacyReply = (headers: HeaderBag): boolean =>
  headers['bt_header_axon_status_code'] !== undefined

/** A reading of what could not be read, in Python's words. */
export function unreadable(problem: string, legacy: boolean): ReplyReading<never> {
  return {
    status: 422,
    message: `Failed to parse response: ${problem}`,
    response: undefined,
    processTimeS: undefined,
    readable: false,
    legacy,
  }
}

/** Reads a legacy reply as the Python dendrite does. */
export function readLegacyReply<D extends AnySynapse>(
  definition: D,
  reply: ReplyText,
): ReplyReading<D> {
  const legacy = isLegacyReply(reply.headers)
  const json = readJsonObject(reply)
  if (typeof json === 'string') return unreadable(json, legacy)
  let response: ResponseOf<D> | undefined
  let axon: PyDict | undefined
  if (reply.status === 200) {
    const missing = definition.requiredFields.find((field) => !json.has(field))
    if (missing !== undefined) return unreadable(`${missing}: field required`, legacy)
    const parsed = readResponse(definition, json)
    if (typeof parsed === 'string') return unreadable(parsed, legacy)
    response = parsed.response
    const terminal = json.get('axon')
    axon = isPyDict(terminal) ? terminal : undefined
  }
  const bad = badHeader(reply.headers)
  if (bad !== undefined) return unreadable(`bad header ${bad}`, legacy)
  const inBody = (field: string): PyValue | undefined => axon?.get(field) ?? undefined
  const statusText = text(reply.headers, 'bt_header_axon_status_code')
  const bodyStatus = reply.status === 200 ? toNumber(inBody('status_code')) : reply.status
  const bodyMessage = reply.status === 200 ? inBody('status_message') : json.get('message')
  const timeText = text(reply.headers, 'bt_header_axon_process_time')
  return {
    status: statusText === undefined ? bodyStatus : Number(statusText),
    message:
      text(reply.headers, 'bt_header_axon_status_message') ??
      (typeof bodyMessage === 'string' ? bodyMessage : undefined),
    response,
    processTimeS:
      timeText === undefined ? toNumber(inBody('process_time')) : parseFloatText(timeText),
    readable: true,
    legacy,
  }
}

/** Reads a btauth/1 reply: HTTP's status and one JSON object. */
export function readBtauthReply<D extends AnySynapse>(
  definition: D,
  reply: ReplyText,
): ReplyReading<D> {
  const legacy = isLegacyReply(reply.headers)
  const json = readJsonObject(reply)
  if (typeof json === 'string') {
    if (reply.status === 200) return unreadable(json, legacy)
    return { ...unreadable(json, legacy), status: reply.status, message: undefined, readable: true }
  }
  const parsed = reply.status === 200 ? readResponse(definition, json) : undefined
  if (typeof parsed === 'string') return unreadable(parsed, legacy)
  const message = json.get('message') ?? json.get('detail')
  return {
    status: reply.status,
    message: reply.status === 200 ? 'Success' : typeof message === 'string' ? message : undefined,
    response: parsed?.response,
    processTimeS: undefined,
    readable: true,
    legacy,
  }
}

/** The object, or why there is none. */
function readJsonObject(reply: ReplyText): PyDict | string {
  if (!JSON_TYPE.test(text(reply.headers, 'content-type') ?? '')) {
    return 'content type is not application/json'
  }
  try {
    const json = readJson(reply.body)
    return isPyDict(json) ? json : 'the body is not a JSON object'
  } catch (error) {
    return error instanceof Error ? error.message : 'not JSON'
  }
}

function readResponse<D extends AnySynapse>(
  definition: D,
  json: PyDict,
): { readonly response: ResponseOf<D> } | string {
  const parsed = definition.response.safeParse(definition.types.response.decode(json))
  return parsed.success ? { response: parsed.data as ResponseOf<D> } : firstProblem(parsed.error)
}

function badHeader(headers: HeaderBag): string | undefined {
  for (const name of Object.keys(headers)) {
    const value = text(headers, name) ?? ''
    if ((INT_HEADERS.test(name) || SIZE_HEADERS.test(name)) && !INTEGER.test(value)) return name
    if (FLOAT_HEADERS.test(name) && parseFloatText(value.trim()) === undefined) return name
  }
  return undefined
}

function toNumber(value: PyValue | undefined): number | undefined {
  if (value instanceof PyFloat) return value.value
  return typeof value === 'number' ? value : undefined
}
