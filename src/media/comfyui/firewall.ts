import { exactJson } from '../../lib/exact-json.js'
import type { UrlRules } from '../../lib/http/index.js'
import { WorkflowError, type WorkflowProblem, type WorkflowProblemCode } from './errors.js'
import { type Extent, extentOf } from './extent.js'
import { asLink, isDeeperThan, nodeSchema, type Workflow, type WorkflowNode } from './graph.js'
import { DEFAULT_LIMITS, type WorkflowLimits } from './limits.js'
import type { NodeRule } from './node-rule.js'
import { SHIPPED_NODES } from './node-rules.js'
import {
  checkCharacters,
  checkModel,
  checkName,
  checkText,
  checkUrl,
  checkUrls,
  type Finding,
} from './strings.js'

export interface FirewallOptions {
  /** Names of the model files that workflows may load; `any` takes every safe name and format. */
  readonly models: readonly string[] | 'any'
  /** The operator's rules for further node classes, or instead of shipped ones. */
  readonly nodes?: Readonly<Record<string, NodeRule>>
  readonly limits?: Partial<WorkflowLimits>
  /** Rules for URLs inside workflows. Absent: no URL is allowed. */
  readonly urls?: UrlRules
}

/** What a workflow asks of a server. */
export interface WorkflowNeeds {
  /** The most frames that a node makes. */
  readonly frames: number
  /** Pixels of the largest frame. */
  readonly framePixels: number
  /** Names of model files, sorted. */
  readonly models: readonly string[]
}

const NOTHING: Extent = { width: 0, height: 0, frames: 0 }

/** Deeper than graph, node, inputs, link is no API format. */
const MAX_NESTING = 5
const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9_:-]{0,63}$/
const CHOICE = /^[A-Za-z0-9][A-Za-z0-9_.+() -]{0,63}$/
/** Seeds of ComfyUI go to 2^64 − 1. */
const MAX_INTEGER = 2 ** 64
const MAX_NUMBER = 1e9

/**
 * Holds workflows of strangers against rules before any server sees them. Pure: no clock, socket or
 * disk. What it can't know, it refuses: unlisted classes and inputs, and links where it must see a number.
 *
 *     const firewall = new WorkflowFirewall({ models: ['wan2.1_t2v_1.3B_bf16.safetensors'] })
 *     const workflow = firewall.check(JSON.parse(body))
 */
export class WorkflowFirewall {
  readonly #rules: ReadonlyMap<string, NodeRule>
  readonly #models: ReadonlySet<string> | 'any'
  readonly #limits: WorkflowLimits
  readonly #urls: UrlRules | undefined

  constructor(options: FirewallOptions) {
    // A map: a class named like a property of every object finds no rule.
    this.#rules = new Map(Object.entries({ ...SHIPPED_NODES, ...options.nodes }))
    this.#models = options.models === 'any' ? 'any' : new Set(options.models)
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#urls = options.urls
  }

  /**
   * The workflow, if nothing is wrong with it.
   * @throws WorkflowError WORKFLOW_REFUSED, with every problem
   */
  check(value: unknown): Workflow {
    const { nodes, problems } = this.#inspect(value)
    const [first] = problems
    if (first === undefined) return Object.fromEntries(nodes)
    const where = first.nodeId === undefined ? '' : ` at node ${first.nodeId}`
    throw new WorkflowError(
      { code: 'WORKFLOW_REFUSED', problems },
      `${problems.length} problem(s), the first${where}: ${first.code}: ${first.message}`,
    )
  }

  /** Everything wrong with a workflow; empty for a good one. */
  problems(value: unknown): readonly WorkflowProblem[] {
    return this.#inspect(value).problems
  }

  /** How much work a checked workflow is, and the models that it loads. */
  needsOf(workflow: Workflow): WorkflowNeeds {
    const nodes = new Map(Object.entries(workflow))
    const extents = [...this.#extents(nodes, inOrder(nodes)).values()]
    const models = Object.values(workflow).flatMap((node) =>
      Object.entries(this.#rules.get(node.class_type)?.inputs ?? {}).flatMap(([input, kind]) =>
        kind.replace('?', '') === 'model' && Object.hasOwn(node.inputs, input)
          ? [String(node.inputs[input])]
          : [],
      ),
    )
    const most = (of: (extent: Extent) => number) => Math.max(1, ...extents.map(of))
    return {
      frames: most((extent) => extent.frames),
      framePixels: most((extent) => extent.width * extent.height),
      models: [...new Set(models)].sort(),
    }
  }

  #inspect(value: unknown): {
    nodes: ReadonlyMap<string, WorkflowNode>
    problems: WorkflowProblem[]
  } {
    const problems: WorkflowProblem[] = []
    const nodes = new Map<string, WorkflowNode>()
    const say = (code: WorkflowProblemCode, message: string) => problems.push({ code, message })

    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      say('WORKFLOW_NOT_A_GRAPH', 'a workflow is an object of nodes')
      return { nodes, problems }
    }
    const entries = Object.entries(value)
    if (entries.length === 0 || Array.isArray((value as { nodes?: unknown }).nodes)) {
      say('WORKFLOW_NOT_A_GRAPH', 'the workflow is empty or not in the API format')
    } else if (entries.length > this.#limits.nodes) {
      say('WORKFLOW_NODES_EXCEEDED', `${entries.length} nodes; allowed: ${this.#limits.nodes}`)
    } else if (isDeeperThan(value, MAX_NESTING)) {
      say('WORKFLOW_NESTED_TOO_DEEP', `values are nested more than ${MAX_NESTING} deep`)
    } else {
      const bytes = Buffer.byteLength(exactJson(value))
      if (bytes > this.#limits.bytes) {
        say('WORKFLOW_BYTES_EXCEEDED', `${bytes} bytes; allowed: ${this.#limits.bytes}`)
      }
    }
    if (problems.length > 0) return { nodes, problems }

    for (const [nodeId, node] of entries) {
      const parsed = nodeSchema.safeParse(node)
      if (!NODE_ID.test(nodeId)) {
        problems.push({ code: 'WORKFLOW_NODE_ID_BAD', nodeId, message: 'not a plain short name' })
      } else if (!parsed.success) {
        const message = 'a node is {class_type, inputs, _meta?}'
        problems.push({ code: 'WORKFLOW_NODE_BAD', nodeId, message })
      } else {
        nodes.set(nodeId, parsed.data)
      }
    }
    if (problems.length > 0) return { nodes, problems }

    for (const [nodeId, node] of nodes) this.#inspectNode(nodeId, node, nodes, problems)
    if (![...nodes.values()].some((node) => this.#rules.get(node.class_type)?.saves === true)) {
      say('WORKFLOW_NO_OUTPUT', 'no node saves a result')
    }
    this.#inspectShape(nodes, problems)
    return { nodes, problems }
  }

  #inspectNode(
    nodeId: string,
    node: WorkflowNode,
    nodes: ReadonlyMap<string, WorkflowNode>,
    problems: WorkflowProblem[],
  ): void {
    const rule = this.#rules.get(node.class_type)
    if (rule === undefined) {
      const message = `class ${JSON.stringify(node.class_type)} is not allowed`
      problems.push({ code: 'WORKFLOW_NODE_REFUSED', nodeId, message })
      return
    }
    const title = checkCharacters(node._meta?.title ?? '')
    if (title !== undefined) problems.push({ code: title[0], nodeId, message: title[1] })
    for (const [input, kind] of Object.entries(rule.inputs)) {
      if (!kind.endsWith('?') && !Object.hasOwn(node.inputs, input)) {
        const message = `${node.class_type} needs ${input}`
        problems.push({ code: 'WORKFLOW_INPUT_MISSING', nodeId, input, message })
      }
    }
    for (const [input, value] of Object.entries(node.inputs)) {
      const kind = Object.hasOwn(rule.inputs, input) ? rule.inputs[input] : undefined
      const finding =
        kind === undefined
          ? (['WORKFLOW_INPUT_UNKNOWN', `${node.class_type} has no such input`] as const)
          : this.#inspectInput(kind.replace('?', ''), value, nodes)
      if (finding === undefined) continue
      problems.push({ code: finding[0], nodeId, input, message: finding[1] })
    }
  }

  #inspectInput(kind: string, value: unknown, nodes: ReadonlyMap<string, WorkflowNode>): Finding {
    const wantsLink = kind === kind.toUpperCase()
    if (!Array.isArray(value)) {
      return wantsLink
        ? ['WORKFLOW_LINK_NEEDED', `needs a link to ${kind}`]
        : this.#value(kind, value)
    }
    if (!wantsLink) return ['WORKFLOW_LINK_REFUSED', 'needs a plain value, not a link']
    const link = asLink(value)
    if (link === undefined) return ['WORKFLOW_VALUE_BAD', 'a link is [node id, output index]']
    const source = nodes.get(link[0])
    if (source === undefined) return ['WORKFLOW_LINK_NODE_MISSING', 'no node has the linked id']
    const outputs = this.#rules.get(source.class_type)?.outputs
    if (outputs === undefined) return undefined // its class is refused already
    const type = outputs[link[1]]
    if (type === undefined) {
      return [
        'WORKFLOW_LINK_OUTPUT_MISSING',
        `${source.class_type} has ${outputs.length} output(s)`,
      ]
    }
    if (type !== kind) return ['WORKFLOW_LINK_TYPE_WRONG', `needs ${kind}; the link gives ${type}`]
    return undefined
  }

  #value(kind: string, value: unknown): Finding {
    const limits = this.#limits
    switch (kind) {
      case 'flag':
        return typeof value === 'boolean' ? undefined : bad('true or false')
      case 'number':
        return isNumber(value, -MAX_NUMBER, MAX_NUMBER) ? undefined : bad('a number')
      case 'scale':
        return isNumber(value, Number.MIN_VALUE, MAX_NUMBER) ? undefined : bad('a positive number')
      case 'denoise':
        // A schedule is made for steps / denoise: the smallest shares would fill any memory.
        return value === 0 || isNumber(value, 0.01, 1) ? undefined : bad('0, or 0.01 to 1')
      case 'megapixels':
        return isNumber(value, 0.01, 4) ? undefined : bad('0.01 to 4 megapixels')
      case 'fps':
        return isNumber(value, 0.1, 240) ? undefined : bad('0.1 to 240 frames a second')
      case 'integer':
        // Seeds that a JavaScript number cannot hold arrive as bigints.
        return isInteger(typeof value === 'bigint' ? Number(value) : value, -MAX_INTEGER)
          ? undefined
          : bad('an integer')
      case 'pad-x':
      case 'pad-y':
        return isInteger(value, 0) ? undefined : bad('an integer of 0 or more')
      case 'width':
      case 'height':
      case 'frames':
      case 'repeat':
      case 'steps':
        return isInteger(value, 1) ? undefined : bad('a positive integer')
      case 'batch':
        if (!isInteger(value, 1)) return bad('a positive integer')
        return value > limits.batch
          ? ['WORKFLOW_BATCH_EXCEEDED', `batch of ${value}; allowed: ${limits.batch}`]
          : undefined
      default:
        return typeof value === 'string' ? this.#string(kind, value) : bad('text')
    }
  }

  #string(kind: string, value: string): Finding {
    if (value.length > this.#limits.textLength) {
      const message = `${value.length} characters; allowed: ${this.#limits.textLength}`
      return ['WORKFLOW_STRING_TOO_LONG', message]
    }
    const finding = checkCharacters(value)
    if (finding !== undefined) return finding
    if (kind === 'url') return checkUrl(value, this.#urls)
    const urls = checkUrls(value, kind === 'text' ? this.#urls : undefined)
    if (urls !== undefined) return urls
    switch (kind) {
      case 'text':
        return checkText(value, this.#models)
      case 'model':
        return checkModel(value, this.#models)
      case 'file':
      case 'prefix':
        return checkName(value)
      case 'choice':
        return CHOICE.test(value) ? undefined : bad('one word of the list')
      default:
        // A rule of the operator with a kind that does not exist: nothing may pass by mistake.
        return bad('a value of a known kind; the rule of this class is wrong')
    }
  }

  #extents(
    nodes: ReadonlyMap<string, WorkflowNode>,
    order: readonly string[],
  ): ReadonlyMap<string, Extent> {
    const extents = new Map<string, Extent>()
    for (const nodeId of order) {
      const node = nodes.get(nodeId)
      const rule = node && this.#rules.get(node.class_type)
      if (node === undefined || rule === undefined) continue
      const sourceOf = (id: string) => extents.get(id) ?? NOTHING
      extents.set(nodeId, extentOf(node, rule, this.#limits, sourceOf))
    }
    return extents
  }

  /** What only the whole graph shows: circles, its longest chain, and what it adds up to. */
  #inspectShape(nodes: ReadonlyMap<string, WorkflowNode>, problems: WorkflowProblem[]): void {
    const limits = this.#limits
    const order = inOrder(nodes)
    for (const nodeId of nodes.keys()) {
      if (order.includes(nodeId)) continue
      const message = 'the node is in a circle of links, or depends on one'
      problems.push({ code: 'WORKFLOW_CYCLE', nodeId, message })
    }
    const extents = this.#extents(nodes, order)
    const lengths = new Map<string, number>()
    const reported = new Set<WorkflowProblemCode>()
    const schedules = new Map<string, number>()
    let [steps, models, outputs, held] = [0, 0, 0, 0]
    for (const nodeId of order) {
      const node = nodes.get(nodeId)
      const rule = node && this.#rules.get(node.class_type)
      if (node === undefined) continue
      const length = 1 + Math.max(0, ...sourcesOf(node).map((id) => lengths.get(id) ?? 0))
      lengths.set(nodeId, length)
      const extent = extents.get(nodeId) ?? NOTHING
      // Steps are taken where a schedule is used, as often as it is used.
      let taken = Math.max(0, ...sourcesOf(node).map((id) => schedules.get(id) ?? 0))
      for (const [input, kind] of Object.entries(rule?.inputs ?? {})) {
        const value = Object.hasOwn(node.inputs, input) ? node.inputs[input] : undefined
        const plain = kind.replace('?', '')
        if (plain === 'steps' && isInteger(value, 1)) taken += value
        if (plain === 'model' && value !== undefined) models += 1
      }
      if (rule?.outputs.includes('SIGMAS') === true) schedules.set(nodeId, taken)
      else steps += taken
      if (rule?.saves === true) outputs += 1
      const pixels = extent.width * extent.height * extent.frames
      if (rule?.outputs.includes('IMAGE') === true) held += pixels
      const over: readonly (readonly [WorkflowProblemCode, string, number, number])[] = [
        ['WORKFLOW_CHAIN_EXCEEDED', 'nodes in a chain', length, limits.chain],
        ['WORKFLOW_WIDTH_EXCEEDED', 'pixels wide', extent.width, limits.width],
        ['WORKFLOW_HEIGHT_EXCEEDED', 'pixels high', extent.height, limits.height],
        ['WORKFLOW_FRAMES_EXCEEDED', 'frames', extent.frames, limits.frames],
        ['WORKFLOW_PIXELS_EXCEEDED', 'pixels in all frames', pixels, limits.pixels],
        ['WORKFLOW_MEMORY_EXCEEDED', 'pixels in all images', held, limits.heldPixels],
        ['WORKFLOW_STEPS_EXCEEDED', 'sampler steps', steps, limits.steps],
        ['WORKFLOW_MODELS_EXCEEDED', 'loads of a model', models, limits.models],
        ['WORKFLOW_OUTPUTS_EXCEEDED', 'nodes that save', outputs, limits.outputs],
      ]
      for (const [code, what, found, allowed] of over) {
        // Named at the first node that exceeds it; the nodes after it only inherit.
        if (found <= allowed || reported.has(code)) continue
        reported.add(code)
        problems.push({ code, nodeId, message: `${found} ${what}; allowed: ${allowed}` })
      }
    }
  }
}

function bad(wanted: string): Finding {
  return ['WORKFLOW_VALUE_BAD', `needs ${wanted}`]
}

function isNumber(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max
}

function isInteger(value: unknown, min: number): value is number {
  return isNumber(value, min, MAX_INTEGER) && Number.isInteger(value)
}

function sourcesOf(node: WorkflowNode): string[] {
  return Object.values(node.inputs).flatMap((value) => {
    const link = asLink(value)
    return link === undefined ? [] : [link[0]]
  })
}

/** Node ids, each after those it is linked to. Those in or behind a circle are left out. */
function inOrder(nodes: ReadonlyMap<string, WorkflowNode>): string[] {
  const waiting = new Map<string, number>()
  const users = new Map<string, string[]>()
  for (const [nodeId, node] of nodes) {
    const sources = sourcesOf(node).filter((id) => nodes.has(id))
    waiting.set(nodeId, sources.length)
    for (const id of sources) users.set(id, [...(users.get(id) ?? []), nodeId])
  }
  const order = [...nodes.keys()].filter((id) => waiting.get(id) === 0)
  for (const nodeId of order) {
    for (const user of users.get(nodeId) ?? []) {
      const left = (waiting.get(user) ?? 0) - 1
      waiting.set(user, left)
      if (left === 0) order.push(user)
    }
  }
  return order
}
