import { must } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import type { Secret } from '../../lib/secret.js'
import { ComfyClient } from './client.js'
import { parseComfyServers } from './server.js'
import type { ComfyRunner } from './types.js'

/** Where ComfyUI is when nobody says so. */
export const DEFAULT_COMFY_SERVER = '127.0.0.1:8188'

export interface OpenComfyOptions {
  readonly servers: readonly string[]
  readonly tokens: readonly Secret<string>[]
  readonly log: Logger
}

/** Runs workflows on the servers that settings name. @throws ComfyError COMFY_SERVER_BAD */
export function openComfyRunner(options: OpenComfyOptions): {
  readonly runner: ComfyRunner
  /** Name of a server's graphics card, where known. */
  readonly deviceOf: (server: string) => string | undefined
} {
  const [server] = parseComfyServers(options.servers, options.tokens)
  const runner = new ComfyClient({ server: must(server, 'server'), log: options.log })
  return { runner, deviceOf: () => undefined }
}
