import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { WorkflowFirewall } from '#src/media/comfyui/index.js'
import {
  loadWorkflow,
  SHIPPED_WORKFLOWS,
  type Workflow,
  WorkflowStore,
  WorkflowStoreError,
  WorkflowTemplate,
} from '#src/workflows/index.js'

const code =
  (wanted: string, words = /./) =>
  (error: unknown) =>
    error instanceof WorkflowStoreError && error.code === wanted && words.test(error.message)

const two: Workflow = {
  a: { class_type: 'CLIPTextEncode', inputs: { text: 'one', clip: ['c', 0] } },
  b: { class_type: 'CLIPTextEncode', inputs: { text: 'two', clip: ['c', 0] } },
  s: { class_type: 'KSampler', inputs: { seed: 1, steps: 4 } },
}
const target = (node_type: string, input_name: string, index = 0) => ({
  node_type,
  property: 'inputs' as const,
  index,
  input_name,
})

/** Paths at which two workflows differ. */
function differences(before: Workflow, after: Workflow): string[] {
  const flat = (workflow: Workflow) =>
    new Map(
      Object.entries(workflow).flatMap(([id, node]) =>
        Object.entries(node.inputs).map(([input, value]) => [
          `${id}.${input}`,
          JSON.stringify(value),
        ]),
      ),
    )
  const [left, right] = [flat(before), flat(after)]
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((path) => left.get(path) !== right.get(path))
    .sort()
}

describe('a workflow with a mapping', () => {
  it('sets exactly the mapped input and nothing else', () => {
    const template = new WorkflowTemplate('two', two, {
      video_prompt: target('CLIPTextEncode', 'text', 1),
      seed: { node_id: 's', input_name: 'seed' },
    })
    const filled = template.fill({ video_prompt: 'a fox', seed: 99 })
    assert.deepEqual(differences(two, filled), ['b.text', 's.seed'])
    assert.equal(filled['b']?.inputs['text'], 'a fox')
    assert.equal(two['b']?.inputs['text'], 'two', 'the template itself is not touched')
  })

  it('sets one value in several places', () => {
    const template = new WorkflowTemplate('two', two, {
      video_prompt: [target('CLIPTextEncode', 'text', 0), target('CLIPTextEncode', 'text', 1)],
    })
    assert.deepEqual(differences(two, template.fill({ video_prompt: 'x' })), ['a.text', 'b.text'])
  })

  it('names a node, an input, a value and a type that do not fit', () => {
    assert.throws(
      () => new WorkflowTemplate('two', two, { image_url: target('LoadImage', 'image') }),
      code('WORKFLOWS_NODE_MISSING', /image_url names node LoadImage number 0/),
    )
    assert.throws(
      () => new WorkflowTemplate('two', two, { video_prompt: target('CLIPTextEncode', 'text', 2) }),
      code('WORKFLOWS_NODE_MISSING', /number 2/),
    )
    assert.throws(
      () => new WorkflowTemplate('two', two, { video_prompt: target('CLIPTextEncode', 'prompt') }),
      code('WORKFLOWS_INPUT_MISSING', /input prompt/),
    )
    assert.throws(
      () => new WorkflowTemplate('two', two, { x: { node_id: 'toString', input_name: 'name' } }),
      code('WORKFLOWS_NODE_MISSING'),
    )
    const template = new WorkflowTemplate('two', two, { seed: target('KSampler', 'seed') })
    assert.throws(
      () => template.fill({ audio_url: 'https://a.example' }),
      code('WORKFLOWS_VALUE_UNMAPPED', /does not take audio_url; it takes seed/),
    )
    assert.throws(() => template.fill({ seed: '12' }), code('WORKFLOWS_VALUE_TYPE', /number/))
  })

  it('counts nodes as the file lists them, not as JavaScript orders keys', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'subreel-workflows-'))
    try {
      const node = (text: string) => `{"class_type":"CLIPTextEncode","inputs":{"text":"${text}"}}`
      await writeFile(join(dir, 'w.json'), `{"20":${node('first')},"3":${node('second')}}`)
      // As subnet 99 writes it.
      await writeFile(
        join(dir, 'w.mapping.json'),
        JSON.stringify({ video_prompt: target('CLIPTextEncode', 'text', 0) }),
      )
      const template = await loadWorkflow(join(dir, 'w.json'), join(dir, 'w.mapping.json'), 'w')
      assert.equal(template.fill({ video_prompt: 'x' })['20']?.inputs['text'], 'x')
      await writeFile(join(dir, 'broken.json'), '{')
      await writeFile(join(dir, 'broken.mapping.json'), '{}')
      await assert.rejects(WorkflowStore.open(dir), code('WORKFLOWS_FILE_BAD', /broken\.json/))
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})

describe('the shipped workflows', () => {
  it('hold WAN 2.1 for text and image at 480p and 720p, each with its values', async () => {
    const store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
    for (const [name, width, height] of [
      ['wan21-t2v-480p', 832, 480],
      ['wan21-t2v-720p', 1280, 720],
      ['wan21-i2v-480p', 832, 480],
      ['wan21-i2v-720p', 1280, 720],
    ] as const) {
      const template = store.get(name)
      const values = { video_prompt: 'a fox', negative_prompt: 'blur', seed: 7, frames: 33 }
      const filled = template.fill(
        template.takes('image_url') ? { ...values, image_url: 'fox.png' } : values,
      )
      assert.equal(template.takes('image_url'), name.includes('i2v'), name)
      const size = Object.values(filled).find((node) => 'width' in node.inputs)?.inputs
      assert.deepEqual([size?.['width'], size?.['height'], size?.['length']], [width, height, 33])
      const texts = Object.values(filled).flatMap((node) => node.inputs['text'] ?? [])
      assert.deepEqual(texts, ['a fox', 'blur'], name)
    }
    assert.throws(() => store.get('wan9'), code('WORKFLOWS_UNKNOWN', /wan21-t2v-480p/))
  })

  it('pass the firewall with the models that they name', async () => {
    const store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
    for (const name of store.names) {
      const { workflow } = store.get(name)
      const models = Object.values(workflow).flatMap((node) =>
        Object.values(node.inputs).filter(
          (value): value is string => typeof value === 'string' && value.endsWith('.safetensors'),
        ),
      )
      assert.deepEqual(new WorkflowFirewall({ models }).problems(workflow), [], name)
    }
  })
})

describe('the list of model files', () => {
  it('has every model that the shipped workflows load', async () => {
    const list = await readFile(join(SHIPPED_WORKFLOWS, 'models.sha256'), 'utf8')
    const lines = list.trimEnd().split('\n')
    const hashes = new Map<string, string>()
    for (const line of lines) {
      const [, sha256 = '', file = ''] = /^([0-9a-f]{64}) {2}(\w+\/[\w.-]+)$/.exec(line) ?? []
      assert.notEqual(file, '', line)
      hashes.set(file.replace(/^\w+\//, ''), sha256)
    }
    const docs = await readFile(join(SHIPPED_WORKFLOWS, '..', 'docs', 'models.md'), 'utf8')
    const firewall = new WorkflowFirewall({ models: 'any' })
    const store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
    const loaded = new Set(
      store.names.flatMap((name) => firewall.needsOf(store.get(name).workflow).models),
    )
    const unlisted = [...loaded].filter((model) => !hashes.has(model))
    assert.deepEqual(unlisted, [])
    for (const [model, sha256] of hashes) {
      assert.ok(loaded.has(model), `${model} is loaded by none`)
      const row = docs.split('\n').find((line) => line.includes(`/${model}\``))
      assert.ok(row?.includes(sha256), `${model} in docs/models.md`)
    }
  })
})
