import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { LibError } from './errors.js'

const MANIFEST = z.array(
  z.object({
    name: z.string(),
    file: z.string().regex(/^[\w-]+(\/[\w.-]+)*$/),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    licence: z.string(),
    source: z.string(),
  }),
)

/** The folder of shipped models, beside `dist`. */
const MODELS = new URL('../../models/', import.meta.url)

export interface ModelFile {
  readonly name: string
  readonly sha256: string
  readonly data: Buffer
}

/**
 * Reads a shipped model by its name in models/manifest.json and checks it against the hash there: a
 * damaged model would give wrong numbers, not an error.
 * @throws LibError LIB_MODEL_MISSING, LIB_MODEL_CORRUPT
 */
export async function readModel(name: string, folder: URL = MODELS): Promise<ModelFile> {
  const missing = (cause?: unknown) =>
    new LibError(
      { code: 'LIB_MODEL_MISSING', model: name },
      `model ${name} is not among the shipped models: install the package again`,
      { cause },
    )
  const read = (file: string) =>
    readFile(new URL(file, folder)).catch((cause: unknown) => {
      throw missing(cause)
    })
  const manifest = MANIFEST.parse(JSON.parse((await read('manifest.json')).toString('utf8')))
  const entry = manifest.find((model) => model.name === name)
  if (entry === undefined) throw missing()
  const data = await read(entry.file)
  const sha256 = createHash('sha256').update(data).digest('hex')
  if (sha256 !== entry.sha256) {
    throw new LibError(
      { code: 'LIB_MODEL_CORRUPT', model: name, expected: entry.sha256, actual: sha256 },
      `model ${name} has sha256 ${sha256}, expected ${entry.sha256}: install the package again`,
    )
  }
  return { name, sha256, data }
}
