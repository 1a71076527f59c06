import type { Readable, Writable } from 'node:stream'
import { Secret } from '../lib/secret.js'
import { WalletError } from './errors.js'

/** Asks a person for the password of the key file at `path`. */
export type PasswordPrompt = (path: string) => Promise<Secret<string>>

export interface PasswordSource {
  /** The process environment, or what stands for it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Asked when the environment has no password. */
  readonly prompt?: PasswordPrompt
}

/** The variable in which bittensor-wallet 4 looks for the password of a key file. */
export function passwordVariable(path: string): string {
  return `BT_PW_${path.replaceAll(/[/\\.]/g, '_').toUpperCase()}`
}

/**
 * Candidate passwords, likeliest first. bittensor-wallet stores base64 of the password xored with the
 * variable's name, people write the password itself: both are understood. Shells cannot export a
 * name with a dash or space in it, so such characters may be underscores.
 *
 * @throws WalletError WALLET_PASSWORD_MISSING
 */
export async function findPasswords(
  path: string,
  source: PasswordSource,
): Promise<readonly Secret<string>[]> {
  const variable = passwordVariable(path)
  const exportable = variable.replaceAll(/[^A-Z0-9_]/g, '_')
  for (const name of new Set([variable, exportable])) {
    const value = source.env?.[name]
    if (value === undefined || value === '') continue
    const hidden = unmask(value, variable)
    return [...(hidden === undefined ? [] : [new Secret(hidden)]), new Secret(value)]
  }
  if (source.prompt !== undefined) return [await source.prompt(path)]
  throw new WalletError(
    { code: 'WALLET_PASSWORD_MISSING', path, variable: exportable },
    `${path} is encrypted: set ${exportable} to its password`,
  )
}

function unmask(value: string, variable: string): string | undefined {
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length === 0 || bytes.toString('base64') !== value) return undefined
  const key = Buffer.from(variable)
  const text = Buffer.from(bytes.map((byte, i) => byte ^ (key[i % key.length] ?? 0)))
  return text.every((byte) => byte >= 0x20 && byte < 0x7f) ? text.toString() : undefined
}

interface Terminal extends Readable {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

/** A prompt on a terminal that does not echo. Undefined where there is no terminal. */
export function terminalPrompt(input: Terminal, output: Writable): PasswordPrompt | undefined {
  if (input.isTTY !== true || input.setRawMode === undefined) return undefined
  return async (path) => {
    output.write(`Password for ${path}: `)
    input.setRawMode?.(true)
    try {
      return new Secret(await readLine(input))
    } finally {
      input.setRawMode?.(false)
      input.pause()
      output.write('\n')
    }
  }
}

const INTERRUPT = '\u0003'
const ERASE = new Set(['\u007f', '\b'])

function readLine(input: Terminal): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: string[] = []
    const onData = (chunk: Buffer | string) => {
      for (const char of chunk.toString()) {
        if (char === '\r' || char === '\n') return finish(() => resolve(typed.join('')))
        if (char === INTERRUPT) {
          return finish(() => reject(new DOMException('interrupted', 'AbortError')))
        }
        if (ERASE.has(char)) typed = typed.slice(0, -1)
        else typed.push(char)
      }
    }
    const finish = (settle: () => void) => {
      input.off('data', onData)
      settle()
    }
    input.on('data', onData)
    input.resume()
  })
}
