import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = process.cwd()

/** Folder → folders it may import; itself is always allowed. */
const ALLOWED: Readonly<Record<string, readonly string[] | 'any'>> = {
  lib: [],
  config: ['lib'],
  protocol: ['lib'],
  wallet: ['lib', 'protocol'],
  chain: ['lib', 'protocol', 'wallet'],
  axon: ['lib', 'protocol', 'wallet'],
  dendrite: ['lib', 'protocol', 'wallet'],
  storage: ['lib'],
  queue: ['lib'],
  media: ['lib'],
  workflows: ['lib', 'protocol', 'media'],
  scoring: ['lib', 'protocol', 'media'],
  engines: ['lib', 'media', 'scoring'],
  devnet: ['lib', 'protocol', 'wallet'],
  devcomfy: ['lib', 'media'],
  miner: [
    'lib',
    'config',
    'protocol',
    'wallet',
    'chain',
    'axon',
    'dendrite',
    'storage',
    'queue',
    'media',
    'engines',
    'scoring',
    'workflows',
  ],
  corpus: ['lib', 'media'],
  neuron: ['lib', 'config', 'wallet', 'chain'],
  validator: [
    'corpus',
    'lib',
    'config',
    'protocol',
    'wallet',
    'chain',
    'axon',
    'dendrite',
    'storage',
    'queue',
    'scoring',
    'workflows',
  ],
  gateway: ['lib', 'config', 'protocol', 'queue', 'storage'],
  cli: 'any',
  services: 'any',
  main: 'any',
}

/** Inside folders that may import another only in part. */
const ONLY: readonly { from: string; to: string; within: string }[] = [
  { from: 'engines', to: 'scoring', within: 'src/scoring/metrics|src/scoring/types' },
  { from: 'miner', to: 'scoring', within: 'src/scoring/metrics|src/scoring/types' },
  // What drives the client's tests must not be the client's own code.
  { from: 'devcomfy', to: 'media', within: 'src/media/index' },
]

interface Import {
  readonly from: string
  readonly to: string
}

function* files(dir: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, dir), { withFileTypes: true })) {
    const path = `${dir}/${entry.name}`
    if (entry.isDirectory()) yield* files(path)
    else if (/\.[cm]?[jt]s$/.test(path)) yield path
  }
}

function importsOf(path: string, text: string): Import[] {
  const specifiers = [...text.matchAll(/(?:from|import|require)\s*\(?\s*['"`]([^'"`]+)['"`]/g)].map(
    (match) => match[1] ?? '',
  )
  return specifiers
    .filter(
      (to) =>
        to.startsWith('.') ||
        to.startsWith('#src/') ||
        to === 'subreel' ||
        to.startsWith('subreel/'),
    )
    .map((to) => {
      const target = to.startsWith('.')
        ? normalize(join(dirname(path), to))
        : to.replace(/^#src|^subreel/, 'src')
      return { from: path, to: target.replaceAll('\\', '/') }
    })
}

function folderOf(path: string): string {
  const parts = path.split('/')
  if (parts[0] !== 'src') return parts[0] ?? ''
  return parts.length > 2 ? (parts[1] ?? '') : 'main'
}

/** What is wrong with one import, or undefined. */
function violation({ from, to }: Import): string | undefined {
  const [source, target] = [folderOf(from), folderOf(to)]
  if (source === target) return undefined
  if (source === 'services' && (target === 'miner' || target === 'validator'))
    return `${from} imports ${to}`
  if (source === 'cli' && target === 'services') return `${from} imports ${to}`
  const allowed = ALLOWED[source]
  if (allowed === 'any') return undefined
  if (allowed === undefined) return `${from}: folder ${source} has no row in the import table`
  if (!allowed.includes(target)) return `${from} imports ${to}: ${source} may not import ${target}`
  const fence = ONLY.find((row) => row.from === source && row.to === target)
  if (fence !== undefined && !new RegExp(`^(${fence.within})`).test(to))
    return `${from} imports ${to}: only ${fence.within}`
  return undefined
}

function allImports(): Import[] {
  const found: Import[] = []
  for (const dir of ['src', 'services']) {
    for (const path of files(dir))
      found.push(...importsOf(path, readFileSync(join(ROOT, path), 'utf8')))
  }
  return found
}

/** The first cycle among files, as a path, or undefined. */
function findCycle(imports: readonly Import[]): string[] | undefined {
  const edges = new Map<string, string[]>()
  for (const { from, to } of imports) {
    const target = to.replace(/\.js$/, '.ts')
    edges.set(from, [...(edges.get(from) ?? []), target])
  }
  const done = new Set<string>()
  const visit = (node: string, path: string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return undefined
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...path, node])
      if (cycle !== undefined) return cycle
    }
    done.add(node)
    return undefined
  }
  for (const node of edges.keys()) {
    const cycle = visit(node, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}

describe('architecture', () => {
  it('imports go one way, as the table says', () => {
    const wrong = allImports()
      .map(violation)
      .filter((line) => line !== undefined)
    assert.deepEqual(wrong, [])
  })

  it('catches a planted import from protocol to axon', () => {
    for (const text of [
      "import { createAxon } from '../axon/index.js'",
      'export * from "../axon/index.js"',
      "type Axon = import('../axon/index.js').Axon",
      'await import(`#src/axon/index.js`)',
    ]) {
      const [planted] = importsOf('src/protocol/planted.ts', text)
      assert.ok(planted, text)
      assert.match(violation(planted) ?? '', /protocol may not import axon/, text)
    }
  })

  it('catches a planted cycle', () => {
    const planted = [
      { from: 'src/lib/a.ts', to: 'src/lib/b.js' },
      { from: 'src/lib/b.ts', to: 'src/lib/a.js' },
    ]
    assert.deepEqual(findCycle(planted), ['src/lib/a.ts', 'src/lib/b.ts', 'src/lib/a.ts'])
  })

  it('has no import cycle, of types neither', () => {
    assert.equal(findCycle(allImports()), undefined)
  })

  it('reads the clock, timers and the environment only where it may', () => {
    const wrong: string[] = []
    for (const dir of ['src', 'services']) {
      for (const path of files(dir)) {
        const text = readFileSync(join(ROOT, path), 'utf8')
        const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
        if (/\bDate\.now\(|\bsetTimeout\(/.test(code) && path !== 'src/lib/clock.ts')
          wrong.push(`${path}: clock`)
        if (/\bMath\.random\(/.test(code)) wrong.push(`${path}: Math.random`)
        const mayReadEnv = ['src/lib/env.ts', 'src/config/start.ts', 'src/cli/main.ts'].includes(
          path,
        )
        if (/\bprocess\.env\b/.test(code) && !mayReadEnv) wrong.push(`${path}: process.env`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  it('sees the files of the checkout', () => {
    const seen = [...files('src')].map((path) => relative('src', path))
    assert.ok(seen.includes('lib/clock.ts'), seen.slice(0, 5).join())
  })
})
