import { inspect } from 'node:util'

const REDACTED = '[Redacted]'

/** A value that does not print: string conversion, JSON and inspection show `[Redacted]`. */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The value itself. Call only at the point of use. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

/**
 * A URL for logs and people: user information and the query, where services put keys, are left out.
 *
 * @example withoutCredentials('wss://node.example/ws?apikey=x') // 'wss://node.example/ws?[Redacted]'
 */
export function withoutCredentials(text: string): string {
  if (!/^\w+:\/\//.test(text)) return text
  return text.replace(/\/\/[^/?#]*@/, `//${REDACTED}@`).replace(/\?.*$/s, `?${REDACTED}`)
}
