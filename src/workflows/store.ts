import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { describeError } from '../lib/errors.js'
import { readJson } from '../protocol/index.js'
import { WorkflowStoreError } from './errors.js'
import { mappingSchema, WorkflowTemplate, workflowSchema } from './template.js'

/** The workflows that ship with the package. */
export const SHIPPED_WORKFLOWS = fileURLToPath(new URL('../../workflows/', import.meta.url))

const MAPPING = '.mapping.json'

/** Workflows by name, each `NAME.json` (API format) with `NAME.mapping.json` beside it. */
export class WorkflowStore {
  readonly #templates: ReadonlyMap<string, WorkflowTemplate>

  constructor(templates: readonly WorkflowTemplate[]) {
    this.#templates = new Map(templates.map((template) => [template.name, template]))
  }

  /**
   * Reads every workflow of the folders that there are; of two with one name the later folder's counts.
   * @throws WorkflowStoreError WORKFLOWS_FILE_BAD, and what a mapping that does not fit throws
   */
  static async open(...folders: readonly (string | undefined)[]): Promise<WorkflowStore> {
    const templates: WorkflowTemplate[] = []
    for (const folder of folders) {
      if (folder === undefined) continue
      const names = (await readdir(folder)).filter((file) => file.endsWith(MAPPING)).sort()
      for (const file of names) {
        const name = file.slice(0, -MAPPING.length)
        templates.push(await loadWorkflow(join(folder, `${name}.json`), join(folder, file), name))
      }
    }
    return new WorkflowStore(templates)
  }

  get names(): readonly string[] {
    return [...this.#templates.keys()].sort()
  }

  /** @throws WorkflowStoreError WORKFLOWS_UNKNOWN */
  get(name: string): WorkflowTemplate {
    const template = this.#templates.get(name)
    if (template !== undefined) return template
    throw new WorkflowStoreError(
      { code: 'WORKFLOWS_UNKNOWN', name: name.slice(0, 80) },
      `there is no such workflow; there are ${this.names.join(', ')}`,
    )
  }
}

/** One workflow from its two files. @throws WorkflowStoreError */
export async function loadWorkflow(
  workflowFile: string,
  mappingFile: string,
  name: string,
): Promise<WorkflowTemplate> {
  const { value: workflow, text } = await readAs(workflowFile, workflowSchema)
  const { value: mapping } = await readAs(mappingFile, mappingSchema)
  // JSON.parse moves ids like "7" to the front; a mapping by index counts as the file lists them.
  const ordered = readJson(text)
  const order = ordered instanceof Map ? [...ordered.keys()].map(String) : []
  return new WorkflowTemplate(name, workflow, mapping, order)
}

async function readAs<S extends z.ZodType>(
  file: string,
  schema: S,
): Promise<{ value: z.output<S>; text: string }> {
  try {
    const text = await readFile(file, 'utf8')
    return { value: schema.parse(JSON.parse(text)), text }
  } catch (cause) {
    throw new WorkflowStoreError(
      { code: 'WORKFLOWS_FILE_BAD', file },
      `${file} cannot be used: ${describeError(cause)}`,
      { cause },
    )
  }
}
