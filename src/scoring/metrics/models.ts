import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { MetricsError } from './errors.js'

/** The folder of the models that ship with the package. */
export const SHIPPED_MODELS = fileURLToPath(new URL('../../../models/', import.meta.url))

const manifestSchema = z.array(
  z.object({
    name: z.string(),
    file: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    licence: z.string(),
    source: z.string(),
  }),
)
export type ModelEntry = z.infer<typeof manifestSchema>[number]

interface Located extends ModelEntry {
  readonly folder: string
}

/** Model files, each checked against the sha256 of its folder's manifest before it is used. */
export class ModelStore {
  readonly #entries: ReadonlyMap<string, Located>

  private constructor(entries: readonly Located[]) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]))
  }

  /**
   * Reads `manifest.json` of the shipped models and of a folder of the operator's own, whose names win.
   * Throws METRICS_MODEL_MISSING.
   */
  static async open(folder?: string): Promise<ModelStore> {
    const folders = folder === undefined ? [SHIPPED_MODELS] : [SHIPPED_MODELS, folder]
    const lists = await Promise.all(folders.map(readManifest))
    return new ModelStore(lists.flat())
  }

  /** All models of the manifest. */
  get entries(): readonly ModelEntry[] {
    return [...this.#entries.values()]
  }

  /** Name and hash of a model, as score records carry them. Throws METRICS_MODEL_MISSING. */
  entry(name: string): ModelEntry {
    return this.#locate(name)
  }

  #locate(name: string): Located {
    const entry = this.#entries.get(name)
    if (entry === undefined) {
      throw new MetricsError(
        { code: 'METRICS_MODEL_MISSING', model: name, path: 'manifest.json' },
        `no manifest lists the model ${name}: see docs/models.md on models that do not ship`,
      )
    }
    return entry
  }

  /** The bytes of a model. Throws METRICS_MODEL_MISSING or METRICS_MODEL_ALTERED. */
  async read(name: string): Promise<Buffer> {
    const entry = this.#locate(name)
    const path = join(entry.folder, entry.file)
    const data = await readFile(path).catch((cause: unknown) => {
      throw new MetricsError(
        { code: 'METRICS_MODEL_MISSING', model: name, path },
        `the model file ${path} cannot be read`,
        { cause },
      )
    })
    const found = createHash('sha256').update(data).digest('hex')
    if (found !== entry.sha256) {
      throw new MetricsError(
        { code: 'METRICS_MODEL_ALTERED', model: name, expected: entry.sha256, found },
        `the model file ${path} has sha256 ${found}, its manifest pins ${entry.sha256}`,
      )
    }
    return data
  }
}

async function readManifest(folder: string): Promise<Located[]> {
  const path = join(folder, 'manifest.json')
  try {
    const entries = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')))
    return entries.map((entry) => ({ ...entry, folder }))
  } catch (cause) {
    throw new MetricsError(
      { code: 'METRICS_MODEL_MISSING', model: 'manifest', path },
      `the list of models ${path} is missing or unreadable`,
      { cause },
    )
  }
}
