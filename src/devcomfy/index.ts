export { DevComfy, type DevComfyOptions } from './server.js'
export type { Speed } from './worker.js'
