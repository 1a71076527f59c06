export { ProtocolError, type ProtocolErrorData } from './errors.js'
export * from './synapse.js'
export * from './synapses/index.js'
export * from './units.js'
export * from './wire/btauth1.js'
export * from './wire/fault.js'
export * from './wire/hash.js'
export { type ReadJsonOptions, readJson, writeJson } from './wire/json.js'
export * from './wire/legacy.js'
export * from './wire/legacy-reply.js'
export * from './wire/legacy-request.js'
export {
  floatRepr,
  type PyDict,
  PyFloat,
  type PyValue,
  pyRepr,
  pyStr,
  toPlain,
} from './wire/python.js'
export * from './wire/reading.js'
export * from './wire/version.js'
