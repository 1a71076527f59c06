export interface Part {
  readonly name: string
  readonly filename: string | undefined
  readonly bytes: Buffer
}

/** The parts of a form. One that is broken has none. */
export function parseMultipart(contentType: string, body: Buffer): readonly Part[] {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1]
  if (boundary === undefined) return []
  return body
    .toString('latin1')
    .split(`--${boundary}`)
    .slice(1, -1)
    .flatMap((part) => {
      const end = part.indexOf('\r\n\r\n')
      const head = Buffer.from(part.slice(0, end), 'latin1').toString('utf8')
      const name = /[; ]name="([^"]*)"/.exec(head)?.[1]
      if (end < 0 || name === undefined) return []
      const filename = /filename="([^"]*)"/.exec(head)?.[1]
      return [{ name, filename, bytes: Buffer.from(part.slice(end + 4, -2), 'latin1') }]
    })
}
