// A user of the gateway: uploads a clip to be compressed and plays what comes back.
import { readFile } from 'node:fs/promises'
import { until } from './processes.mjs'

export class User {
  constructor(origin, key) {
    this.origin = origin
    this.headers = { 'x-api-key': key }
  }

  async submit(file) {
    const asked = 'kind=compression&codec=h264&vmafThreshold=85&timeoutSeconds=120'
    const response = await fetch(`${this.origin}/v1/jobs?${asked}`, {
      method: 'POST',
      headers: { ...this.headers, 'content-type': 'video/mp4', 'idempotency-key': 'demo' },
      body: await readFile(file),
    })
    if (!response.ok)
      throw new Error(`the gateway answered ${response.status}: ${await response.text()}`)
    return (await response.json()).id
  }

  /** Follows a job to its end; a result is fetched from its URL. */
  async follow(id) {
    const get = async (path) =>
      (await fetch(`${this.origin}/v1/jobs/${id}${path}`, { headers: this.headers })).json()
    let state = 'queued'
    const ended = async () => {
      state = (await get('')).state
      return state === 'completed' || state === 'failed'
    }
    await until(ended, "the user's job", 400).catch(() => {})
    if (state !== 'completed') return { state }
    const { url } = await get('/result')
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
    return { state, url, playable: bytes.subarray(4, 8).toString() === 'ftyp' }
  }
}
