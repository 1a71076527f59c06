import { ProtocolError } from '../errors.js'
import type { AnySynapse, ResponseInput, ResponseOf } from '../synapse.js'
import { faultBody, headerSafe, type WireFault } from './fault.js'
import { bodyHash } from './hash.js'
import { quote, writeMembers } from './json.js'
import type { LegacyHeaders } from './legacy.js'
import { firstProblem, type ReceivedRequest, sentFields } from './legacy-request.js'
import { floatRepr, type PyDict } from './python.js'

/** A handler's answer, parsed and ready to be serialised. */
export interface PreparedReply<D extends AnySynapse = AnySynapse> {
  readonly definition: D
  readonly response: ResponseOf<D>
  /** Request and response fields as members of a JSON object: the legacy body repeats both. */
  readonly members: string
  /** The response fields alone. */
  readonly responseMembers: string
  readonly bodyHash: string
}

/**
 * Parses what a handler returned; reading its members serialises it.
 * @throws ProtocolError PROTOCOL_REPLY_INVALID; PROTOCOL_VALUE_UNSERIALISABLE also when members are read
 */
export function prepareReply<D extends AnySynapse>(
  received: ReceivedRequest<D>,
  reply: ResponseInput<D>,
): PreparedReply<D> {
  const { definition } = received
  const parsed = definition.response.safeParse(reply)
  if (!parsed.success) {
    const problem = firstProblem(parsed.error)
    throw new ProtocolError(
      { code: 'PROTOCOL_REPLY_INVALID', synapse: definition.name, problem },
      `reply of ${definition.name} does not fit its schema: ${problem}`,
    )
  }
  return new ParsedReply(received, parsed.data as ResponseOf<D>)
}

/** Serialises when asked: each protocol reads one of the two forms. */
class ParsedReply<D extends AnySynapse> implements PreparedReply<D> {
  readonly definition: D
  readonly response: ResponseOf<D>
  readonly #received: ReceivedRequest<D>
  readonly #own: PyDict
  readonly #fields: PyDict

  constructor(received: ReceivedRequest<D>, response: ResponseOf<D>) {
    this.definition = received.definition
    this.response = response
    this.#received = received
    this.#own = this.definition.types.response.encode(response) as PyDict
    this.#fields = new Map([...received.fields, ...this.#own])
  }

  get members(): string {
    const values = { ...this.#received.request, ...this.response }
    return writeMembers(sentFields(this.definition, values, this.#fields))
  }

  get responseMembers(): string {
    return writeMembers(sentFields(this.definition, this.response, this.#own))
  }

  get bodyHash(): string {
    return bodyHash(this.definition.requiredHashFields, this.#fields)
  }
}

/** The axon's own part of a reply. */
export interface LegacyReplyOptions {
  /** The request's headers; they are repeated to the caller. */
  readonly request: LegacyHeaders
  readonly ownHotkey: string
  /** Default 200. A handler may refuse with its own, e.g. 429. */
  readonly status?: number
  /** Default `Success`. */
  readonly message?: string
  /** Since the request came in, in seconds. */
  readonly processTimeS: number
}

export interface WireReply {
  readonly status: number
  /** Names and values, flat. */
  readonly headers: string[]
  readonly body: string
}

const text = (value: string | undefined): string => (value === undefined ? 'null' : quote(value))
const number = (value: number | bigint | undefined): string =>
  value === undefined || Number.isNaN(value) ? 'null' : String(value)

const DEFAULT_TIMEOUT_S = 12

function timeoutText(request: LegacyHeaders): string {
  const { timeoutS } = request
  return floatRepr(
    timeoutS !== undefined && Number.isFinite(timeoutS) ? timeoutS : DEFAULT_TIMEOUT_S,
  )
}

/** A whole reply: status, headers and body, as a Python dendrite needs them. */
export function legacyReply(prepared: PreparedReply, options: LegacyReplyOptions): WireReply {
  const { request, ownHotkey } = options
  const { sender, receiver } = request
  const { name } = prepared.definition
  const status = options.status ?? 200
  const message = headerSafe(options.message ?? 'Success')
  const timeout = timeoutText(request)
  const processTime = floatRepr(options.processTimeS)
  const { members } = prepared
  const body =
    `{"name":"${name}","timeout":${timeout},"total_size":0,"header_size":0,` +
    `"dendrite":{"status_code":null,"status_message":null,"process_time":null,` +
    `"ip":${text(sender.ip)},"port":null,"version":${number(sender.version)},` +
    `"nonce":${number(sender.nonce)},"uuid":${text(sender.uuid)},` +
    `"hotkey":${text(sender.hotkey)},"signature":${text(sender.signature)}},` +
    `"axon":{"status_code":${status},"status_message":${text(message)},` +
    `"process_time":${processTime},"ip":${text(receiver.ip)},"port":${number(receiver.port)},` +
    `"version":null,"nonce":null,"uuid":null,"hotkey":${text(ownHotkey)},"signature":null},` +
    `"computed_body_hash":""${members === '' ? '' : `,${members}`}}`
  const headers = replyHeaders(name, options, status, message, processTime)
  headers.push('computed_body_hash', prepared.bodyHash, 'content-type', 'application/json')
  return { status, headers, body }
}

/** Status and headers of a streamed reply; its body is whatever the handler writes. */
export function legacyStreamHead(
  definition: AnySynapse,
  options: LegacyReplyOptions,
): Omit<WireReply, 'body'> {
  const status = options.status ?? 200
  const message = headerSafe(options.message ?? 'Success')
  const processTime = floatRepr(options.processTimeS)
  const headers = replyHeaders(definition.name, options, status, message, processTime)
  headers.push('content-type', 'text/event-stream')
  return { status, headers }
}

function replyHeaders(
  name: string,
  options: LegacyReplyOptions,
  status: number,
  message: string,
  processTime: string,
): string[] {
  const { request, ownHotkey } = options
  const { sender, receiver } = request
  const headers = [
    'name',
    name,
    'timeout',
    timeoutText(request),
    'bt_header_axon_status_code',
    String(status),
    'bt_header_axon_status_message',
    message,
    'bt_header_axon_process_time',
    processTime,
    'bt_header_axon_hotkey',
    ownHotkey,
  ]
  const echo = (header: string, value: string | number | bigint | undefined) => {
    if (value !== undefined && value !== '') headers.push(header, headerSafe(String(value)))
  }
  echo('bt_header_axon_ip', receiver.ip)
  echo('bt_header_axon_port', receiver.port)
  echo('bt_header_dendrite_ip', sender.ip)
  echo('bt_header_dendrite_version', sender.version)
  echo('bt_header_dendrite_nonce', sender.nonce)
  echo('bt_header_dendrite_uuid', sender.uuid)
  echo('bt_header_dendrite_hotkey', sender.hotkey)
  echo('bt_header_dendrite_signature', sender.signature)
  headers.push('header_size', '0', 'total_size', '0')
  return headers
}

/** A refusal. Short on purpose: a forged request must not earn a long answer. */
export function legacyFaultReply(
  refused: WireFault,
  own: { readonly name: string; readonly ownHotkey: string; readonly processTimeS: number },
): WireReply {
  return {
    status: refused.status,
    headers: [
      ['name', headerSafe(own.name)],
      ['bt_header_axon_status_code', String(refused.status)],
      ['bt_header_axon_status_message', refused.message],
      ['bt_header_axon_process_time', floatRepr(own.processTimeS)],
      ['bt_header_axon_hotkey', own.ownHotkey],
      ['content-type', 'application/json'],
    ].flat(),
    body: faultBody(refused),
  }
}

/** A btauth/1 reply: the response's fields as one JSON object. */
export function btauthReply(prepared: PreparedReply, status = 200): WireReply {
  return {
    status,
    headers: ['content-type', 'application/json'],
    body: `{${prepared.responseMembers}}`,
  }
}

/** A btauth/1 refusal. */
export function btauthFaultReply(refused: WireFault): WireReply {
  return {
    status: refused.status,
    headers: ['content-type', 'application/json'],
    body: faultBody(refused),
  }
}
