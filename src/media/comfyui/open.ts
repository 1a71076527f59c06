import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { describeError } from '../../lib/errors.js'
import type { UrlRules } from '../../lib/http/index.js'
import type { Logger } from '../../lib/log.js'
import type { Registry } from '../../lib/metrics.js'
import type { Secret } from '../../lib/secret.js'
import { ComfyError } from './errors.js'
import { WorkflowFirewall } from './firewall.js'
import type { NodeRule } from './node-rule.js'
import { ComfyPool, type ComfyWarmUp } from './pool.js'
import { parseComfyServers } from './server.js'

/** Where ComfyUI is when nobody says so. */
export const DEFAULT_COMFY_SERVER = '127.0.0.1:8188'

export interface OpenComfyOptions {
  readonly servers: readonly string[]
  readonly tokens: readonly Secret<string>[]
  /** Model files that workflows may load; every safe one when absent. */
  readonly models?: readonly string[] | undefined
  /** JSON file of rules for further node classes. */
  readonly nodesFile?: string | undefined
  /** Rules for URLs inside workflows; none are allowed when absent. */
  readonly urls?: UrlRules
  readonly pollMs: number
  readonly runTimeoutMs: number
  readonly warmUps?: readonly ComfyWarmUp[]
  readonly registry?: Registry
  readonly log: Logger
}

/**
 * Runs workflows on the servers that settings name, each past the firewall first.
 * @throws ComfyError COMFY_SERVER_BAD, COMFY_NODES_BAD
 */
export async function openComfyPool(options: OpenComfyOptions): Promise<ComfyPool> {
  const { servers, tokens, models, nodesFile, urls, warmUps, registry, log } = options
  const nodes = nodesFile === undefined ? {} : await readNodeRules(nodesFile)
  const firewall = new WorkflowFirewall({
    models: models ?? 'any',
    nodes,
    ...(urls === undefined ? {} : { urls }),
  })
  return new ComfyPool(
    {
      pollMs: options.pollMs,
      runTimeoutMs: options.runTimeoutMs,
      servers: parseComfyServers(servers, tokens),
      ...(warmUps === undefined ? {} : { warmUps }),
    },
    { firewall, log, ...(registry === undefined ? {} : { registry }) },
  )
}

const nodesSchema: z.ZodType<Record<string, NodeRule>> = z.record(
  z.string(),
  z.strictObject({
    inputs: z.record(z.string(), z.string().min(1)),
    outputs: z.array(z.string()),
    saves: z.boolean().exactOptional(),
    joins: z.boolean().exactOptional(),
    enlarges: z.number().min(1).exactOptional(),
    loadsImage: z.boolean().exactOptional(),
  }),
)

/** Rules for node classes, as the firewall takes them, from a JSON file. @throws ComfyError COMFY_NODES_BAD */
export async function readNodeRules(file: string): Promise<Readonly<Record<string, NodeRule>>> {
  try {
    return nodesSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new ComfyError(
      { code: 'COMFY_NODES_BAD', file },
      `${file} is no list of rules for node classes: ${describeError(cause).slice(0, 500)}`,
      { cause },
    )
  }
}
