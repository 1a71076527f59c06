import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import type { Clock } from '../lib/clock.js'
import { NODES } from './nodes.js'
import { toJpeg } from './pictures.js'
import {
  Interrupted,
  type NewFile,
  type NodeContext,
  NodeException,
  type NodeResult,
  type Pictures,
  type Prompt,
} from './types.js'

/** `[number, prompt id, prompt, extra data, outputs to execute]`, as `/queue` shows it. */
export type QueueItem = readonly [number, string, Prompt, ExtraData, readonly string[]]
export type ExtraData = Readonly<Record<string, unknown>>

export interface Folders {
  readonly inputs: string
  readonly outputs: string
}

/** How long things take, in milliseconds. */
export interface Speed {
  /** Each node. */
  readonly nodeMs: number
  /** Each step of a sampler and each frame that is decoded. */
  readonly stepMs: number
  /** Each model that is not in memory. */
  readonly loadMs: number
}

export interface WorkerOptions {
  readonly clock: Clock
  readonly folders: Folders
  readonly speed: Speed
  readonly vramBytes: number
  /** Frames for the sockets of a client; without a client, for all. */
  readonly send: (type: string, data: Readonly<Record<string, unknown>>, client?: string) => void
  readonly sendPreview: (
    image: Buffer,
    about: Readonly<Record<string, unknown>>,
    client: string,
  ) => void
}

interface NodeState {
  value: number
  max: number
  state: 'running' | 'finished'
}

const FLOAT_PIXEL_BYTES = 12
const OUT_OF_MEMORY =
  'Allocation on device\nThis error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might have accidentally set the batch_size to a large number.'

/** Runs prompts one after the other and remembers what became of them. */
export class PromptWorker {
  readonly history = new Map<string, unknown>()
  /** How many models were taken into memory since the start. */
  loads = 0
  frees = 0
  succeeded = 0
  readonly #options: WorkerOptions
  readonly #pending: QueueItem[] = []
  #running: QueueItem | undefined
  #node: string | undefined
  #interrupt: AbortController | undefined
  #number = 0
  #busy = false
  #closed = false
  #failures = 0
  readonly #models = new Set<string>()
  #cache = new Map<string, NodeResult>()
  #reserved = 0

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  get running(): QueueItem | undefined {
    return this.#running
  }

  get pending(): readonly QueueItem[] {
    return this.#pending
  }

  /** The node at work. */
  get node(): string | undefined {
    return this.#node
  }

  get remaining(): number {
    return this.#pending.length + (this.#running === undefined ? 0 : 1)
  }

  get vramFree(): number {
    return Math.max(0, this.#options.vramBytes - this.#reserved)
  }

  put(prompt: Prompt, id: string | undefined, extra: ExtraData, outputs: readonly string[]) {
    const item: QueueItem = [this.#number++, id ?? randomUUID(), prompt, extra, outputs]
    this.#pending.push(item)
    this.#status()
    void this.#work()
    return item
  }

  delete(ids: readonly string[]): void {
    this.#keep((item) => !ids.includes(item[1]))
  }

  clear(): void {
    this.#keep(() => false)
  }

  interrupt(): void {
    this.#interrupt?.abort(new Interrupted())
  }

  free(): void {
    this.frees += 1
    this.#models.clear()
    this.#cache.clear()
  }

  /** The next runs fail for want of memory. */
  failForMemory(times: number): void {
    this.#failures = times
  }

  /** Forgets every prompt, as a restart does. */
  forget(): void {
    this.clear()
    this.history.clear()
    const running = this.#running
    this.#running = undefined
    if (running !== undefined) this.interrupt()
  }

  close(): void {
    this.#closed = true
    this.#keep(() => false)
    this.interrupt()
  }

  #keep(wanted: (item: QueueItem) => boolean): void {
    this.#pending.splice(0, this.#pending.length, ...this.#pending.filter(wanted))
    this.#status()
  }

  #status(): void {
    this.#options.send('status', { status: { exec_info: { queue_remaining: this.remaining } } })
  }

  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    // As the real server, which answers the request before its worker wakes.
    await this.#options.clock.sleep(0)
    for (let item = this.#pending.shift(); item !== undefined; item = this.#pending.shift()) {
      this.#running = item
      this.#interrupt = new AbortController()
      this.#status()
      const entry = await this.#run(item, this.#interrupt.signal)
      this.#node = undefined
      if (this.#closed) break
      if (this.#running === item) this.history.set(item[1], entry)
      this.#running = undefined
      this.#status()
      this.#tell(item, 'executing', { node: null })
    }
    this.#busy = false
  }

  #tell(item: QueueItem, type: string, data: Readonly<Record<string, unknown>>): void {
    const client = item[3]['client_id']
    const ending = type === 'executing' && data['node'] === null
    if (typeof client === 'string') {
      this.#options.send(type, { ...data, prompt_id: item[1] }, client)
    } else if (ending) {
      this.#options.send(type, { ...data, prompt_id: item[1] })
    }
  }

  async #run(item: QueueItem, signal: AbortSignal): Promise<unknown> {
    const [, id, prompt, , outputs] = item
    const messages: unknown[] = []
    const say = (type: string, data: Readonly<Record<string, unknown>>) => {
      const stamped = { ...data, prompt_id: id, timestamp: this.#options.clock.now() }
      messages.push([type, stamped])
      this.#tell(item, type, stamped)
    }
    say('execution_start', {})
    const order = orderOf(prompt, outputs)
    const signatures = await this.#sign(prompt, order)
    const cached = order.filter((nodeId) => this.#cache.has(signatures.get(nodeId) ?? ''))
    say('execution_cached', { nodes: cached })
    this.#reserved = 0
    const run = new Map<string, NodeResult>()
    const states: Record<string, NodeState> = {}
    const executed: string[] = []
    let status = 'success'
    try {
      for (const nodeId of order) {
        const known = this.#cache.get(signatures.get(nodeId) ?? '')
        const result = known ?? (await this.#execute(item, nodeId, { run, states, signal }))
        run.set(nodeId, result)
        executed.push(nodeId)
        if (result.ui !== undefined) {
          this.#tell(item, 'executed', { node: nodeId, display_node: nodeId, output: result.ui })
        }
        if (known === undefined) this.#finish(item, nodeId, states)
      }
      say('execution_success', {})
      this.succeeded += 1
    } catch (error) {
      status = 'error'
      const node = {
        node_id: this.#node,
        node_type: prompt[this.#node ?? '']?.class_type,
        executed,
      }
      if (signal.aborted) say('execution_interrupted', node)
      else say('execution_error', { ...node, ...describe(error) })
    }
    this.#remember(run, signatures)
    return {
      prompt: item,
      outputs: Object.fromEntries(
        [...run].flatMap(([nodeId, { ui }]) => (ui === undefined ? [] : [[nodeId, ui]])),
      ),
      status: { status_str: status, completed: status === 'success', messages },
      meta: {},
    }
  }

  async #execute(
    item: QueueItem,
    nodeId: string,
    at: {
      run: ReadonlyMap<string, NodeResult>
      states: Record<string, NodeState>
      signal: AbortSignal
    },
  ): Promise<NodeResult> {
    const node = item[2][nodeId]
    const nodeClass = NODES[node?.class_type ?? '']
    if (node === undefined || nodeClass === undefined) throw new NodeException('KeyError', nodeId)
    this.#node = nodeId
    at.states[nodeId] = { value: 0, max: 1, state: 'running' }
    this.#progress(item, at.states)
    this.#tell(item, 'executing', { node: nodeId, display_node: nodeId })
    const inputs = Object.fromEntries(
      Object.entries(node.inputs).map(([name, value]) => [
        name,
        Array.isArray(value) ? at.run.get(String(value[0]))?.outputs[Number(value[1])] : value,
      ]),
    )
    await this.#pause(this.#options.speed.nodeMs, at.signal)
    if (this.#failures > 0 && nodeClass.saves === true) {
      this.#failures -= 1
      throw new NodeException('torch.OutOfMemoryError', OUT_OF_MEMORY)
    }
    return nodeClass.run(inputs, this.#context(item, nodeId, at.states, at.signal))
  }

  #finish(item: QueueItem, nodeId: string, states: Record<string, NodeState>): void {
    const state = states[nodeId]
    if (state === undefined) return
    state.value = state.max
    state.state = 'finished'
    this.#progress(item, states)
  }

  #progress(item: QueueItem, states: Readonly<Record<string, NodeState>>): void {
    const nodes = Object.fromEntries(
      Object.entries(states).map(([nodeId, state]) => [
        nodeId,
        { ...state, node_id: nodeId, display_node_id: nodeId, real_node_id: nodeId },
      ]),
    )
    this.#tell(item, 'progress_state', { nodes })
  }

  #context(
    item: QueueItem,
    nodeId: string,
    states: Record<string, NodeState>,
    signal: AbortSignal,
  ): NodeContext {
    const { folders, speed, vramBytes } = this.#options
    return {
      signal,
      inputDir: folders.inputs,
      progress: async (value, max, preview) => {
        await this.#pause(speed.stepMs, signal)
        states[nodeId] = { value, max, state: 'running' }
        this.#progress(item, states)
        if (preview !== undefined) await this.#preview(item, nodeId, preview)
        this.#tell(item, 'progress', { value, max, node: nodeId })
      },
      load: async (model) => {
        if (this.#models.has(model)) return
        await this.#pause(speed.loadMs, signal)
        this.#models.add(model)
        this.loads += 1
      },
      reserve: (width, height, frames) => {
        this.#reserved += width * height * frames * FLOAT_PIXEL_BYTES
        if (this.#reserved > vramBytes)
          throw new NodeException('torch.OutOfMemoryError', OUT_OF_MEMORY)
      },
      nextFile: (prefix, extension, count = 1) =>
        nextFile(folders.outputs, prefix, extension, count),
    }
  }

  async #preview(item: QueueItem, nodeId: string, picture: Pictures): Promise<void> {
    const client = item[3]['client_id']
    if (typeof client !== 'string') return
    const about = { node_id: nodeId, prompt_id: item[1], image_type: 'image/jpeg' }
    this.#options.sendPreview(await toJpeg(picture), about, client)
  }

  /** Work that takes time. Also lets requests be served meanwhile. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal)
  }

  /** What a node depends on. Two nodes of one signature give the same. */
  async #sign(prompt: Prompt, order: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const signatures = new Map<string, string>()
    for (const nodeId of order) {
      const node = prompt[nodeId]
      if (node === undefined) continue
      const inputs = Object.entries(node.inputs).map(([name, value]) => [
        name,
        Array.isArray(value) ? [signatures.get(String(value[0])), value[1]] : value,
      ])
      if (node.class_type === 'LoadImage') {
        const path = join(this.#options.folders.inputs, String(node.inputs['image']))
        inputs.push(['changed', (await stat(path).catch(() => undefined))?.mtimeMs])
      }
      const text = JSON.stringify([node.class_type, inputs])
      signatures.set(nodeId, createHash('sha256').update(text).digest('base64'))
    }
    return signatures
  }

  /** Keeps what the last prompt made and no more. */
  #remember(run: ReadonlyMap<string, NodeResult>, signatures: ReadonlyMap<string, string>): void {
    this.#cache = new Map(
      [...run].flatMap(([nodeId, result]) => {
        const signature = signatures.get(nodeId)
        return signature === undefined ? [] : [[signature, result]]
      }),
    )
  }
}

/** The nodes that the outputs need, each after those that it is linked to. */
function orderOf(prompt: Prompt, outputs: readonly string[]): readonly string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (nodeId: string) => {
    if (seen.has(nodeId)) return
    seen.add(nodeId)
    for (const value of Object.values(prompt[nodeId]?.inputs ?? {})) {
      if (Array.isArray(value)) visit(String(value[0]))
    }
    order.push(nodeId)
  }
  for (const output of outputs) visit(output)
  return order
}

function describe(error: unknown): Readonly<Record<string, unknown>> {
  const [type, message] =
    error instanceof NodeException
      ? [error.type, error.message]
      : ['RuntimeError', error instanceof Error ? error.message : String(error)]
  return {
    exception_type: type,
    exception_message: `${message}\n`,
    traceback: [],
    current_inputs: {},
  }
}

/** `prefix_00001_.ext`; one count for all files of a prefix, whatever their ending. */
async function nextFile(
  root: string,
  prefix: string,
  extension: string,
  count: number,
): Promise<readonly NewFile[]> {
  const base = resolve(root, prefix)
  const inside = relative(root, base)
  if (inside.startsWith('..') || inside === '') {
    throw new NodeException('Exception', 'Saving image outside the output folder is not allowed.')
  }
  const subfolder = inside.includes('/') ? inside.slice(0, inside.lastIndexOf('/')) : ''
  const name = inside.slice(subfolder === '' ? 0 : subfolder.length + 1)
  const folder = join(root, subfolder)
  await mkdir(folder, { recursive: true })
  const numbers = (await readdir(folder)).flatMap((file) => {
    const number = file.startsWith(`${name}_`)
      ? /^(\d{5,})_\./.exec(file.slice(name.length + 1))
      : null
    return number?.[1] === undefined ? [] : [Number(number[1])]
  })
  const first = 1 + numbers.reduce((most, one) => Math.max(most, one), 0)
  return Array.from({ length: count }, (_, index) => {
    const filename = `${name}_${String(first + index).padStart(5, '0')}_.${extension}`
    return { path: join(folder, filename), file: { filename, subfolder, type: 'output' } }
  })
}
