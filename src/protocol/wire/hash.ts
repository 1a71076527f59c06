import { createHash } from 'node:crypto'
import { type PyDict, pyStr } from './python.js'

const sha3 = (text: string): string => createHash('sha3-256').update(text, 'utf8').digest('hex')

/** The hash of a synapse that lists no hash fields: sha3-256 of nothing. Its body is not signed. */
export const EMPTY_BODY_HASH = 'a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a'

/**
 * `computed_body_hash`: sha3-256 over the joined hex sha3-256 of Python's `str()` of each field, in
 * the order given. A field that is not there hashes as `None`.
 */
export function bodyHash(requiredHashFields: readonly string[], fields: PyDict): string {
  if (requiredHashFields.length === 0) return EMPTY_BODY_HASH
  return sha3(requiredHashFields.map((name) => sha3(pyStr(fields.get(name) ?? null))).join(''))
}
