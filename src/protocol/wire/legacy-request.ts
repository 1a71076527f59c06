import type { z } from 'zod'
import { ProtocolError } from '../errors.js'
import type { AnySynapse, RequestInput, RequestOf } from '../synapse.js'
import { accept, fault, refuse, type Verdict, type WireFault } from './fault.js'
import { bodyHash } from './hash.js'
import { quote, readJson, writeJson, writeMembers } from './json.js'
import { floatRepr, isPyDict, isPyList, type PyDict, PyFloat, type PyValue } from './python.js'

/** A request without sender and receiver: prepared once, sent to any number of neurons. */
export interface PreparedRequest<D extends AnySynapse = AnySynapse> {
  readonly definition: D
  readonly request: RequestOf<D>
  /** The synapse's own fields as members of a JSON object. */
  readonly members: string
  readonly bodyHash: string
  /** `bt_header_input_obj_*` names and values, flat. */
  readonly placeholders: readonly string[]
}

/** What a legacy request says about its two ends. */
export interface LegacyEnvelope {
  /** Seconds. */
  readonly timeoutS: number
  readonly sender: {
    readonly ip: string
    readonly version: number
    readonly nonce: bigint
    readonly uuid: string
    readonly hotkey: string
    /** `0x` and lower-case hex of the signature over legacyMessage. */
    readonly signature: string
  }
  readonly receiver: { readonly ip: string; readonly port: number; readonly hotkey: string }
}

/**
 * Parses, serialises and hashes a payload.
 * @throws ProtocolError PROTOCOL_PAYLOAD_INVALID, PROTOCOL_VALUE_UNSERIALISABLE
 */
export function prepareRequest<D extends AnySynapse>(
  definition: D,
  payload: RequestInput<D>,
): PreparedRequest<D> {
  const parsed = definition.request.safeParse(payload)
  if (!parsed.success) {
    const problem = firstProblem(parsed.error)
    throw new ProtocolError(
      { code: 'PROTOCOL_PAYLOAD_INVALID', synapse: definition.name, problem },
      `payload of ${definition.name} does not fit its schema: ${problem}`,
    )
  }
  const request = parsed.data as RequestOf<D>
  const fields = requestFields(definition, definition.types.request.encode(request) as PyDict)
  return {
    definition,
    request,
    members: writeMembers(sentFields(definition, request, fields)),
    bodyHash: bodyHash(definition.requiredHashFields, fields),
    placeholders: definition.requiredFields.flatMap((field) => placeholder(field, fields)),
  }
}

/** The fields of a request: the caller's, and those of the response at their defaults. */
function requestFields(definition: AnySynapse, request: PyDict): PyDict {
  const fields = new Map(request)
  for (const [field, schema] of Object.entries(definition.response.shape)) {
    if (fields.has(field)) continue
    const initial = schema.safeParse(undefined)
    if (initial.success) {
      const encoded = definition.types.response.encode({ [field]: initial.data })
      fields.set(field, (encoded as PyDict).get(field) ?? null)
    }
  }
  return fields
}

/**
 * Leaves out what is absent on our side, unless it is hashed: many Python classes declare
 * `x: str = None` and refuse the null that stands for it, but none refuses its absence.
 */
export function sentFields(
  definition: AnySynapse,
  value: Readonly<Record<string, unknown>>,
  fields: PyDict,
): PyDict {
  const out = new Map<string, PyValue>()
  for (const [field, item] of fields) {
    const absent = item === null && value[field] === undefined
    if (!absent || definition.requiredHashFields.includes(field)) out.set(field, item)
  }
  return out
}

function placeholder(field: string, fields: PyDict): readonly string[] {
  const value = fields.get(field)
  if (value === undefined || value === null) return []
  const text = writeJson(emptyOf(value))
  return [`bt_header_input_obj_${field}`, Buffer.from(text, 'utf8').toString('base64')]
}

function emptyOf(value: PyValue): PyValue {
  if (typeof value === 'string') return ''
  if (typeof value === 'boolean') return false
  if (typeof value === 'bigint') return 0
  if (typeof value === 'number') return Number.isInteger(value) ? 0 : new PyFloat(0)
  if (value instanceof PyFloat) return new PyFloat(0)
  return isPyList(value) ? [] : new Map()
}

/** Header names and values, flat, and the body, as the Python dendrite sends them. */
export function legacyRequest(
  prepared: PreparedRequest,
  envelope: LegacyEnvelope,
): { readonly headers: string[]; readonly body: string } {
  const { name } = prepared.definition
  const { sender, receiver } = envelope
  const timeout = floatRepr(envelope.timeoutS)
  const body =
    `{"name":"${name}","timeout":${timeout},"total_size":0,"header_size":0,` +
    `"dendrite":{"status_code":null,"status_message":null,"process_time":null,` +
    `"ip":${quote(sender.ip)},"port":null,"version":${sender.version},"nonce":${sender.nonce},` +
    `"uuid":${quote(sender.uuid)},"hotkey":${quote(sender.hotkey)},"signature":${quote(sender.signature)}},` +
    `"axon":{"status_code":null,"status_message":null,"process_time":null,` +
    `"ip":${quote(receiver.ip)},"port":${receiver.port},"version":null,"nonce":null,"uuid":null,` +
    `"hotkey":${quote(receiver.hotkey)},"signature":null},"computed_body_hash":""` +
    `${prepared.members === '' ? '' : `,${prepared.members}`}}`
  const headers = [
    ['name', name],
    ['timeout', timeout],
    ['bt_header_axon_ip', receiver.ip],
    ['bt_header_axon_port', String(receiver.port)],
    ['bt_header_axon_hotkey', receiver.hotkey],
    ['bt_header_dendrite_ip', sender.ip],
    ['bt_header_dendrite_version', String(sender.version)],
    ['bt_header_dendrite_nonce', String(sender.nonce)],
    ['bt_header_dendrite_uuid', sender.uuid],
    ['bt_header_dendrite_hotkey', sender.hotkey],
    ['bt_header_dendrite_signature', sender.signature],
    prepared.placeholders,
    ['header_size', '0'],
    ['total_size', String(body.length)],
    ['computed_body_hash', prepared.bodyHash],
    ['content-type', 'application/json'],
  ].flat()
  return { headers, body }
}

/** A request's body after parsing. */
export interface ReceivedRequest<D extends AnySynapse = AnySynapse> {
  readonly definition: D
  readonly request: RequestOf<D>
  /** Python's view of the request's fields, lossless: what is hashed and what the reply repeats. */
  readonly fields: PyDict
  /** What the body calls itself; Python's dendrites write the name of the synapse. */
  readonly name: PyValue | undefined
}

/**
 * Parses a request body. Unknown keys are ignored, base fields too: who called is in the verified
 * headers alone.
 */
export function parseRequestBody<D extends AnySynapse>(
  definition: D,
  body: string,
): Verdict<ReceivedRequest<D>> {
  let raw: PyValue
  if (body === '') return refuse('body-invalid', 'The body is empty; send a JSON object')
  try {
    raw = readJson(body)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return refuse('json-malformed', error.message)
  }
  if (!isPyDict(raw)) return refuse('body-invalid', 'The body must be a JSON object')
  const parsed = definition.request.safeParse(definition.types.request.decode(raw))
  if (!parsed.success) {
    return refuse(
      'body-invalid',
      `Body does not fit ${definition.name}: ${firstProblem(parsed.error)}`,
    )
  }
  const request = parsed.data as RequestOf<D>
  const own = definition.types.request.encode(request, raw) as PyDict
  const fields = withHashedResponse(definition, own, raw)
  return accept({ definition, request, fields, name: raw.get('name') })
}

/** Hashed fields that only the response schema declares count with the value the caller sent. */
function withHashedResponse(definition: AnySynapse, own: PyDict, raw: PyDict): PyDict {
  const missing = definition.requiredHashFields.filter((field) => !own.has(field))
  if (missing.length === 0) return own
  const fields = requestFields(definition, own) as Map<string, PyValue>
  for (const field of missing) {
    const value = raw.get(field)
    if (value !== undefined) fields.set(field, value)
  }
  return fields
}

/** Fault of a body that is not the one whose hash was signed. */
export function checkBodyHash(
  received: ReceivedRequest,
  signedHash: string,
): WireFault | undefined {
  const { definition, fields } = received
  if (bodyHash(definition.requiredHashFields, fields) === signedHash) return undefined
  return fault('body-hash-mismatch', 'Hash mismatch: the body is not the one that was signed')
}

/** Fault of a body that says it is another synapse, unless `name` is a field of the synapse's own. */
export function checkBodyName({ definition, name }: ReceivedRequest): WireFault | undefined {
  const same = name === undefined || name === null || name === definition.name
  if (same || 'name' in definition.request.shape) return undefined
  return fault('body-invalid', `The body is not a ${definition.name}: its name says otherwise`)
}

/** The first issue of a failed parse as `path: message`. */
export function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'unknown problem'
  const path = issue.path.map(String).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}
