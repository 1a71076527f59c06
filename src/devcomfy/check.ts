import { NODES } from './nodes.js'
import type { InputSpec, Prompt, ServerFiles } from './types.js'

/** One complaint, as ComfyUI words it. */
interface Complaint {
  readonly type: string
  readonly message: string
  readonly details: string
  readonly extra_info: Readonly<Record<string, unknown>>
}

export interface NodeErrors {
  [nodeId: string]: { errors: Complaint[]; dependent_outputs: string[]; class_type: string }
}

export type Checked =
  | { readonly ok: true; readonly outputs: readonly string[]; readonly errors: NodeErrors }
  | { readonly ok: false; readonly error: Complaint; readonly errors: NodeErrors }

const VALUE_TYPES = ['INT', 'FLOAT', 'STRING', 'BOOLEAN', 'COMBO']

/** Says which outputs of a prompt can run and what is wrong with the others, as the real server does. */
export function checkPrompt(prompt: Prompt, files: ServerFiles): Checked {
  const refuse = (type: string, message: string, details = ''): Checked => ({
    ok: false,
    error: { type, message, details, extra_info: {} },
    errors: {},
  })
  const outputs: string[] = []
  for (const [nodeId, node] of Object.entries(prompt)) {
    const nodeClass = Object.hasOwn(NODES, node.class_type) ? NODES[node.class_type] : undefined
    if (nodeClass === undefined) {
      const message = `Cannot execute because node ${node.class_type} does not exist.`
      return refuse('invalid_prompt', message, `Node ID '#${nodeId}'`)
    }
    if (nodeClass.saves === true) outputs.push(nodeId)
  }
  if (outputs.length === 0) return refuse('prompt_no_outputs', 'Prompt has no outputs')

  const errors: NodeErrors = {}
  const good = outputs.filter((output) => {
    const faults = faultsBehind(prompt, output, files)
    for (const [nodeId, complaints] of faults) {
      errors[nodeId] ??= {
        errors: complaints,
        dependent_outputs: [],
        class_type: prompt[nodeId]?.class_type ?? '',
      }
      errors[nodeId].dependent_outputs.push(output)
    }
    return faults.size === 0
  })
  if (good.length > 0) return { ok: true, outputs: good, errors }
  const message = 'Prompt outputs failed validation'
  return {
    ok: false,
    error: { type: 'prompt_outputs_failed_validation', message, details: '', extra_info: {} },
    errors,
  }
}

function faultsBehind(prompt: Prompt, output: string, files: ServerFiles) {
  const faults = new Map<string, Complaint[]>()
  const seen = new Set<string>()
  const open = [output]
  for (let nodeId = open.pop(); nodeId !== undefined; nodeId = open.pop()) {
    const node = prompt[nodeId]
    if (node === undefined || seen.has(nodeId)) continue
    seen.add(nodeId)
    const complaints = Object.entries(NODES[node.class_type]?.inputs ?? {}).flatMap(
      ([name, spec]) => {
        const value = node.inputs[name]
        if (Array.isArray(value)) open.push(String(value[0]))
        const fault = inputFault(prompt, name, spec, value, files)
        return fault === undefined ? [] : [fault]
      },
    )
    if (complaints.length > 0) faults.set(nodeId, complaints)
  }
  return faults
}

function inputFault(
  prompt: Prompt,
  name: string,
  spec: InputSpec,
  value: unknown,
  files: ServerFiles,
): Complaint | undefined {
  const say = (type: string, message: string, details: string): Complaint => ({
    type,
    message,
    details,
    extra_info: { input_name: name, received_value: value },
  })
  if (value === undefined) {
    return spec.optional === true
      ? undefined
      : say('required_input_missing', 'Required input is missing', name)
  }
  if (Array.isArray(value)) {
    const source = prompt[String(value[0])]
    if (source === undefined) {
      const message = 'Exception when validating inner node'
      return say('exception_during_inner_validation', message, `'${value[0]}'`)
    }
    const received = NODES[source.class_type]?.outputs[Number(value[1])]
    const details = `${name}, received_type(${received}) mismatch input_type(${spec.type})`
    return received === spec.type || VALUE_TYPES.includes(spec.type)
      ? undefined
      : say('return_type_mismatch', 'Return type mismatch between linked nodes', details)
  }
  if (!VALUE_TYPES.includes(spec.type)) {
    return say(
      'bad_linked_input',
      'Bad linked input, must be a length-2 list of [node_id, slot_index]',
      name,
    )
  }
  if (spec.type === 'INT' || spec.type === 'FLOAT') {
    const number = Number(value)
    if (Number.isNaN(number)) {
      const message = `Failed to convert an input value to a ${spec.type} value`
      return say('invalid_input_type', message, `${name}, ${value}, could not convert`)
    }
    if (spec.min !== undefined && number < spec.min) {
      return say('value_smaller_than_min', `Value ${number} smaller than min of ${spec.min}`, name)
    }
    if (spec.max !== undefined && number > spec.max) {
      return say('value_bigger_than_max', `Value ${number} bigger than max of ${spec.max}`, name)
    }
  }
  const wrong = spec.check?.(value, files)
  if (wrong !== undefined) {
    return say(
      'custom_validation_failed',
      'Custom validation failed for node',
      `${name} - ${wrong}`,
    )
  }
  if (spec.options === undefined || spec.modern === true || spec.check !== undefined)
    return undefined
  const options = optionsOf(spec, files)
  if (options.includes(String(value))) return undefined
  const shown = options.length > 20 ? `(list of length ${options.length})` : JSON.stringify(options)
  return say('value_not_in_list', 'Value not in list', `${name}: '${value}' not in ${shown}`)
}

function optionsOf(spec: InputSpec, files: ServerFiles): readonly string[] {
  return typeof spec.options === 'function' ? spec.options(files) : (spec.options ?? [])
}

/** The answer to `/object_info`. */
export function objectInfo(files: ServerFiles): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(NODES).map(([name, node]) => {
      const described = (wanted: boolean) =>
        Object.entries(node.inputs)
          .filter(([, spec]) => (spec.optional === true) === wanted)
          .map(([input, spec]) => [input, describe(spec, files)])
      const [required, optional] = [described(false), described(true)]
      return [
        name,
        {
          input: {
            required: Object.fromEntries(required),
            ...(optional.length === 0 ? {} : { optional: Object.fromEntries(optional) }),
          },
          output: node.outputs,
          output_is_list: node.outputs.map(() => false),
          output_name: node.outputs,
          name,
          display_name: name,
          description: '',
          category: 'devcomfy',
          output_node: node.saves === true,
        },
      ]
    }),
  )
}

function describe(spec: InputSpec, files: ServerFiles): unknown {
  const limits = Object.fromEntries(
    Object.entries({ default: spec.default, min: spec.min, max: spec.max }).filter(
      ([, value]) => value !== undefined,
    ),
  )
  if (spec.options === undefined) return [spec.type, limits]
  const options = optionsOf(spec, files)
  return spec.modern === true ? ['COMBO', { ...limits, options }] : [options, limits]
}
