import type { Secret } from '../../lib/secret.js'
import { ComfyError } from './errors.js'

/** Where a ComfyUI server is. */
export interface ComfyServer {
  /** Host and port, and the path if there is one: what logs and errors call it. */
  readonly name: string
  /** Ends in `/`. Holds no user name or password. */
  readonly url: URL
  /** Sent as `Authorization: Bearer` to this server alone. */
  readonly token?: Secret<string>
}

const DEFAULT_PORT = 8188
const ADDRESS =
  /^(?:(?<scheme>https?):\/\/)?(?<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?<port>\d{1,5}))?(?<path>\/[^?#\s]*)?$/i

/**
 * Reads COMFYUI_SERVERS and COMFYUI_TOKENS. The scheme may be left out (http), and the port (8188; 443 for https).
 * @param tokens one per server in the same order; an empty one means none
 * @throws ComfyError COMFY_SERVER_BAD
 */
export function parseComfyServers(
  addresses: readonly string[],
  tokens: readonly Secret<string>[] = [],
): readonly ComfyServer[] {
  const refuse = (index: number, problem: string): never => {
    throw new ComfyError(
      { code: 'COMFY_SERVER_BAD', index, problem },
      `ComfyUI server ${index + 1}: ${problem}`,
    )
  }
  // A token without its server means that the lists do not line up: it would go to another one.
  for (const [index, token] of tokens.entries()) {
    if (token.reveal() !== '' && (addresses[index] ?? '').trim() === '') {
      refuse(index, 'there is a token but no address')
    }
  }
  const servers = new Map<string, ComfyServer>()
  for (const [index, address] of addresses.entries()) {
    if (address.trim() === '') continue
    const parts = ADDRESS.exec(address.trim())?.groups
    if (parts === undefined) return refuse(index, 'not host, host:port or http(s)://host:port/path')
    const scheme = (parts['scheme'] ?? 'http').toLowerCase()
    const port = Number(parts['port'] ?? (scheme === 'https' ? 443 : DEFAULT_PORT))
    const path = (parts['path'] ?? '').replace(/\/*$/, '')
    const text = `${scheme}://${parts['host']}:${port}${path}/`
    if (port === 0 || !URL.canParse(text)) return refuse(index, 'there is no such host or port')
    const url = new URL(text)
    const name = `${url.hostname}:${port}${path}`
    if (servers.has(name)) return refuse(index, `${name} is named twice`)
    const token = tokens[index]
    servers.set(
      name,
      token === undefined || token.reveal() === '' ? { name, url } : { name, url, token },
    )
  }
  return servers.size === 0 ? refuse(0, 'no server is named') : [...servers.values()]
}
