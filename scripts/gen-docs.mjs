// Writes the reference pages that come from the code: environment, errors, events, metrics.
// `--check` writes nothing and fails when a page is out of date.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

function* sources(dir) {
  for (const entry of readdirSync(join(root, dir), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) yield* sources(path)
    else if (path.endsWith('.ts'))
      yield { path: relative('.', path), text: readFileSync(join(root, path), 'utf8') }
  }
}

const files = [...sources('src'), ...sources('services')]
const cell = (text) => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim()
const table = (head, rows) =>
  [
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n')
const folderOf = (path) => path.split('/').slice(1, -1).join('/') || path

/** Every `/** … *\/ | { code: 'X' … }` of an errors file. */
export function errorCodes() {
  const found = []
  for (const { path, text: whole } of files) {
    const text = whole.replaceAll(/^ \* {3,}.*$/gm, '') // indented lines of a comment are examples
    for (const match of text.matchAll(
      /(?:\/\*\*\s*((?:(?!\*\/)[\s\S])*?)\s*\*\/\s*)?\|?\s*(?<!\()\{\s*(?:readonly\s+)?code:\s*((?:\s*\|?\s*'[A-Z][A-Z0-9_]+')+)/g,
    )) {
      if (!/errors?\.ts$/.test(path)) continue
      const text_ = (match[1] ?? '').replaceAll(/\n\s*\*\s?/g, ' ')
      for (const [, code] of match[2].matchAll(/'([A-Z0-9_]+)'/g))
        found.push({ code, folder: folderOf(path), text: text_ })
    }
  }
  return found.sort((a, b) => (a.code < b.code ? -1 : 1))
}

/** Every `event: 'noun.verb-past'` with the sentence logged beside it. */
export function events() {
  const found = new Map()
  for (const { path, text } of files) {
    for (const match of text.matchAll(/event:\s*'([a-z0-9-]+\.[a-z0-9-]+)'/g)) {
      const sentence = /\}\s*,\s*(?:'([^']*)'|`([^`]*)`)/.exec(
        text.slice(match.index, match.index + 500),
      )
      const entry = found.get(match[1]) ?? { event: match[1], folders: new Set(), text: '' }
      entry.folders.add(folderOf(path))
      entry.text ||= sentence?.[1] ?? sentence?.[2] ?? ''
      found.set(match[1], entry)
    }
  }
  return [...found.values()].sort((a, b) => (a.event < b.event ? -1 : 1))
}

/** Every metric named `subnet_…` with its help text. */
export function metrics() {
  const found = []
  for (const { path, text } of files) {
    for (const match of text.matchAll(
      /name:\s*'(subnet_[a-z0-9_]+)',\s*help:\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|`([^`]*)`)/g,
    )) {
      found.push({
        name: match[1],
        folder: folderOf(path),
        text: (match[2] ?? match[3] ?? match[4]).replaceAll("\\'", "'"),
      })
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

const { SETTINGS, SETTING_NAMES } = await import(
  new URL('../dist/config/index.js', import.meta.url)
)

const home = process.env.HOME ?? '~'
const generated = 'Made by `npm run docs` from the code; do not edit.'
const pages = {
  'docs/operations/env.md': `# Settings\n\n${generated}\n\nA flag beats the environment, which beats the TOML file (\`--config FILE\`), which beats the default.\n\n${table(
    ['flag', 'environment', 'default', 'processes', 'meaning'],
    SETTING_NAMES.map((name) => {
      const of = SETTINGS[name]
      const fallback = of.default === undefined ? '' : `\`${of.default.replace(home, '~')}\``
      return [
        `\`--${name}\``,
        [of.env ?? [], of.envAliases ?? []]
          .flat()
          .map((name) => `\`${name}\``)
          .join(', '),
        fallback,
        of.for?.join(', ') ?? 'all',
        of.help,
      ]
    }),
  )}\n`,
  'docs/reference/errors.md': `# Error codes\n\n${generated}\n\n${table(
    ['code', 'folder', 'meaning and remedy'],
    errorCodes().map(({ code, folder, text }) => [`\`${code}\``, folder, text]),
  )}\n`,
  'docs/operations/events.md': `# Log events\n\n${generated}\n\n${table(
    ['event', 'folder', 'sentence'],
    events().map(({ event, folders, text }) => [`\`${event}\``, [...folders].join(', '), text]),
  )}\n`,
  'docs/operations/metrics.md': `# Metrics\n\n${generated} Every process serves them at \`/metrics\` of its admin server, with Node's own.\n\n${table(
    ['metric', 'folder', 'meaning'],
    metrics().map(({ name, folder, text }) => [`\`${name}\``, folder, text]),
  )}\n`,
}

const check = process.argv.includes('--check')
let stale = 0
for (const [path, text] of Object.entries(pages)) {
  let current = ''
  try {
    current = readFileSync(join(root, path), 'utf8')
  } catch {}
  if (current === text) continue
  stale += 1
  if (check) process.stderr.write(`${path} is out of date: run npm run docs\n`)
  else {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}
if (check && stale > 0) process.exit(1)
