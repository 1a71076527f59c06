// Every command in the docs is run by a test or says why it is not. Whichever it is, its flags are
// those that the program has, and the codes, metrics and test files that pages name exist.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { loadConfig, PROCESSES } from '#src/config/index.js'

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith('adr'))
    .map((name) => join('docs', name)),
].sort()

interface Block {
  readonly page: string
  /** The comment line before it. */
  readonly marker: string | undefined
  readonly code: string
}

const blocks: Block[] = pages.flatMap((page) =>
  [
    ...readFileSync(page, 'utf8').matchAll(/(?:^<!-- ([^\n]*) -->\n)?^```sh\n([\s\S]*?)^```$/gm),
  ].map(([, marker, code = '']) => ({ page, marker, code })),
)

/** Whole commands, without comments and with lines joined. */
const commandsOf = (code: string): string[] =>
  code
    .replaceAll(/\\\n\s*/g, ' ')
    .replaceAll(/(^|\s)#.*$/gm, '')
    .split(/\n|&&|\|/)
    .map((line) => line.trim())
    .filter((line) => line !== '')

describe('commands in the docs', () => {
  it('are run by a test that exists, or say why not', () => {
    assert.ok(blocks.length > 15)
    for (const { page, marker, code } of blocks) {
      const [how, what = ''] = marker?.split(': ') ?? []
      const where = `${page}: ${code.split('\n')[0]}`
      if (how === 'run by')
        for (const file of what.split(', ')) assert.ok(existsSync(file), `${where}: ${file}`)
      else assert.ok(how === 'not run' && what.length > 10, `${where}: no marker before it`)
    }
  })

  it('name programs, verbs, scripts and settings that exist', () => {
    const verbs = readdirSync('src/cli/commands').map((name) => name.replace('.ts', ''))
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
    for (const { page, code } of blocks) {
      for (const command of commandsOf(code)) {
        const where = `${page}: ${command}`
        const words = command.split(/\s+/).filter((word) => !/^[A-Z_]+=/.test(word))
        const [program, first = ''] = words
        if (program === 'npm' && first === 'run') assert.ok(words[2] && words[2] in scripts, where)
        if (program === 'subreel') assert.ok(verbs.includes(first), where)
        if (program !== 'node' || !/^(dist|scripts)\//.test(first)) continue
        assert.ok(existsSync(first), where)
        if (first === 'dist/cli/main.js') assert.ok(verbs.includes(words[2] ?? ''), where)
        const process = PROCESSES.find(
          (name) => first === `dist/${name}.js` || first === `dist/services/${name}/main.js`,
        )
        if (process === undefined) continue
        const env = { BT_NETUID: '85' }
        const { positionals } = loadConfig({ argv: words.slice(2), env, process })
        assert.deepEqual(positionals, [], where)
      }
    }
  })

  it('are followed by YAML and TOML that parse', () => {
    for (const page of pages)
      for (const [, code = ''] of readFileSync(page, 'utf8').matchAll(
        /^```yaml\n([\s\S]*?)^```$/gm,
      ))
        assert.equal(typeof parse(code), 'object', page)
  })
})

describe('pages for operators', () => {
  const read = (page: string) => readFileSync(page, 'utf8')
  const known = [
    'docs/reference/errors.md',
    'docs/operations/metrics.md',
    'docs/operations/events.md',
  ]
    .map(read)
    .join('\n')
  const written = pages.filter(
    (page) => /^docs\/(how-to|operations)\//.test(page) && !/(metrics|events|env)\.md$/.test(page),
  )

  it('name error codes and metrics that exist', () => {
    for (const page of written) {
      for (const [, name = ''] of read(page).matchAll(
        /`((?:QUEUE|STATE|STORAGE|WALLET|MINER(?!_STORAGE)|VALIDATOR|AXON|CHAIN|FETCH)_[A-Z_]+|subnet_[a-z_]+)/g,
      ))
        assert.ok(known.includes(`\`${name}\``) || name.endsWith('_'), `${page}: ${name}`)
    }
  })

  it('link to pages and name tests that exist', () => {
    for (const page of [...written, 'README.md']) {
      for (const [, link = ''] of read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
        assert.ok(existsSync(normalize(join(dirname(page), link))), `${page}: ${link}`)
      for (const [, name = ''] of read(page).matchAll(/`((?:e2e|unit|contract)\/[\w/-]+)/g))
        assert.ok(
          existsSync(`test/${name}.test.ts`) || existsSync(`test/${name}`),
          `${page}: ${name}`,
        )
    }
  })
})
