import { type ErrorData, SubnetError } from '../lib/errors.js'

/** What the protocol code throws. Bad input from a peer is a verdict, not one of these. */
export type ProtocolErrorData =
  /** A synapse definition cannot be carried by the wire: use JSON types in its schemas, list only fields that exist. */
  | { code: 'PROTOCOL_DEFINITION_INVALID'; synapse: string; field: string | undefined }
  /** The payload given to a call does not fit the synapse's request schema: fix the fields named in the message. */
  | { code: 'PROTOCOL_PAYLOAD_INVALID'; synapse: string; problem: string }
  /** The reply given by a handler does not fit the synapse's response schema: fix the fields named in the message. */
  | { code: 'PROTOCOL_REPLY_INVALID'; synapse: string; problem: string }
  /** A value has no JSON form (bytes, dates, NaN, infinity): convert it before sending. */
  | { code: 'PROTOCOL_VALUE_UNSERIALISABLE'; kind: string }
  /** A text is not the JSON a peer may send: the message says what is wrong at which offset. */
  | { code: 'PROTOCOL_JSON_INVALID'; offset: number; problem: string }

export class ProtocolError<
  T extends ProtocolErrorData & ErrorData = ProtocolErrorData,
> extends SubnetError<T> {}
