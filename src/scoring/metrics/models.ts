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

/** Model files of one folder, each checked against the sha256 of its manifest before it is used. */
export class ModelStore {
  readonly #folder: string
  readonly #entries: ReadonlyMap<string, ModelEntry>

  private constructor(folder: string, entries: readonly ModelEntry[]) {
    this.#folder = folder
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]))
  }

  /** Reads `manifest.json`. Throws METRICS_MODEL_MISSING. */
  static async open(folder: string = SHIPPED_MODELS): Promise<ModelStore> {
    const path = join(folder, 'manifest.json')
    try {
      return new ModelStore(folder, manifestSchema.parse(JSON.parse(await readFile(path, 'utf8'))))
    } catch (cause) {
      throw new MetricsError(
        { code: 'METRICS_MODEL_MISSING', model: 'manifest', path },
        `the list of models ${path} is missing or unreadable`,
        { cause },
      )
    }
  }

  /** Name and hash of a model, as score records carry them. Throws METRICS_MODEL_MISSING. */
  entry(name: string): ModelEntry {
    const entry = this.#entries.get(name)
    if (entry === undefined) {
      throw new MetricsError(
        { code: 'METRICS_MODEL_MISSING', model: name, path: join(this.#folder, 'manifest.json') },
        `the manifest does not list the model ${name}`,
      )
    }
    return entry
  }

  /** The bytes of a model. Throws METRICS_MODEL_MISSING or METRICS_MODEL_ALTERED. */
  async read(name: string): Promise<Buffer> {
    const entry = this.entry(name)
    const path = join(this.#folder, entry.file)
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
