import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Logger } from '../lib/log.js'
import type { ObjectStore } from '../storage/index.js'

export interface MirrorOptions {
  /** Of the keys that are clips; the rest of a key names the clip. */
  readonly prefix: string
  readonly dir: string
  readonly signal: AbortSignal
}

/** What a file may be called: everything else in a key becomes `_`, so no key leaves the folder. */
const fileNameOf = (name: string) => name.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_')
const VIDEO_FILE = /\.(mp4|mov|mkv|webm)$/i

/**
 * Brings a folder in line with the clips below a prefix of a store: fetches what is new or of another
 * size, removes what is gone. Two validators of one prefix name their clips alike. Returns how many
 * clips there are.
 */
export async function mirrorClips(
  store: Pick<ObjectStore, 'list' | 'get'>,
  { prefix, dir, signal }: MirrorOptions,
  log: Logger,
): Promise<number> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const wanted = new Set<string>()
  let fetched = 0
  for await (const { key, sizeBytes } of store.list(prefix, { signal })) {
    const name = fileNameOf(key.slice(prefix.length).replace(/^\/+/, ''))
    if (!VIDEO_FILE.test(name)) continue
    wanted.add(name)
    const path = join(dir, name)
    const known = await stat(path).catch(() => undefined)
    if (known?.size === sizeBytes) continue
    const partial = `${path}.part`
    await pipeline(await store.get(key, { signal }), createWriteStream(partial), { signal })
    await rename(partial, path)
    fetched += 1
  }
  const gone = (await readdir(dir)).filter((name) => !wanted.has(name))
  for (const name of gone) await rm(join(dir, name), { force: true })
  log.info(
    { event: 'corpus.mirrored', clips: wanted.size, fetched, removed: gone.length },
    'the corpus is that of the store',
  )
  return wanted.size
}
