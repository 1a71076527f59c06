import type { z } from 'zod'
import { ProtocolError } from './errors.js'
import { compileType, objectType, type PyType } from './wire/pytype.js'

/** Field names every synapse has on the wire; a definition may not use them. */
export const BASE_FIELDS = [
  'name',
  'timeout',
  'total_size',
  'header_size',
  'dendrite',
  'axon',
  'computed_body_hash',
] as const

/**
 * One kind of message between two neurons. `request` holds the fields the caller fills, `response`
 * those the handler fills; a field may be in both. Made by defineSynapse.
 */
export interface SynapseDefinition<
  Req extends z.ZodObject = z.ZodObject,
  Res extends z.ZodObject = z.ZodObject,
  Streaming extends boolean = boolean,
> {
  /** The class name in Python, and the last part of the URL. */
  readonly name: string
  readonly request: Req
  readonly response: Res
  /** Fields covered by the signature, in the order of the Python tuple. */
  readonly requiredHashFields: readonly string[]
  /** Request fields without a default. Python wants a placeholder header for each. */
  readonly requiredFields: readonly string[]
  /** The handler answers with chunks instead of a JSON body. */
  readonly streaming: Streaming
  /** Wire types of the fields; for the wire code. */
  readonly types: { readonly request: PyType; readonly response: PyType }
}

/** Any definition, whatever its fields: what a registry of synapses holds. */
export type AnySynapse = SynapseDefinition

/** What a handler gets: the request after parsing, defaults filled in. */
export type RequestOf<D extends AnySynapse> = z.output<D['request']>
/** What a caller gives: fields with defaults may be left out. */
export type RequestInput<D extends AnySynapse> = z.input<D['request']>
/** What a caller gets: the response after parsing. */
export type ResponseOf<D extends AnySynapse> = z.output<D['response']>
/** What a handler gives back: fields with defaults may be left out. */
export type ResponseInput<D extends AnySynapse> = z.input<D['response']>

export interface SynapseOptions<
  Req extends z.ZodObject,
  Res extends z.ZodObject,
  Streaming extends boolean,
> {
  /** The Python class name: letters, digits, underscores. */
  readonly name: string
  readonly request: Req
  readonly response: Res
  /** The Python class's `required_hash_fields`. Default: none, and then the body is not signed. */
  readonly requiredHashFields?: readonly (keyof (Req['shape'] & Res['shape']) & string)[]
  readonly streaming?: Streaming
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/

/**
 * Defines a synapse. Both ends import the result; a Python peer declares a class of the same name.
 *
 *     const Greeting = defineSynapse({
 *       name: 'Greeting',
 *       request: z.object({ who: z.string() }),
 *       response: z.object({ text: z.string().default('') }),
 *       requiredHashFields: ['who'],
 *     })
 *
 * @throws ProtocolError PROTOCOL_DEFINITION_INVALID
 */
export function defineSynapse<
  Req extends z.ZodObject,
  Res extends z.ZodObject,
  Streaming extends boolean = false,
>(options: SynapseOptions<Req, Res, Streaming>): SynapseDefinition<Req, Res, Streaming> {
  const { name, request, response } = options
  const invalid = (message: string, field?: string) =>
    new ProtocolError({ code: 'PROTOCOL_DEFINITION_INVALID', synapse: name, field }, message)
  if (!NAME.test(name)) {
    throw invalid(`synapse name ${JSON.stringify(name)} is not a Python class name`)
  }
  const known = new Set([...Object.keys(request.shape), ...Object.keys(response.shape)])
  for (const field of BASE_FIELDS) {
    if (known.has(field)) {
      throw invalid(`synapse ${name}: field ${field} is taken by the protocol; rename it`, field)
    }
  }
  const requiredHashFields = options.requiredHashFields ?? []
  for (const field of requiredHashFields) {
    if (!known.has(field)) {
      throw invalid(`synapse ${name}: hash field ${field} is in neither schema`, field)
    }
  }
  return {
    name,
    request,
    response,
    requiredHashFields,
    requiredFields: Object.entries(request.shape)
      .filter(([, schema]) => schema._zod.optin === undefined)
      .map(([field]) => field),
    streaming: (options.streaming ?? false) as Streaming,
    types: { request: fieldsType(request, name), response: fieldsType(response, name) },
  }
}

function fieldsType(schema: z.ZodObject, synapse: string): PyType {
  const fields = new Map<string, PyType>()
  for (const [field, inner] of Object.entries(schema.shape)) {
    fields.set(field, compileType(inner, synapse, field))
  }
  return objectType(fields)
}
