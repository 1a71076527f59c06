import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createRegistry } from '#src/lib/metrics.js'

const ALERTS = 'docker/prometheus/alerts.yml'
const DASHBOARD = 'docker/grafana/subreel.json'

/** Names that Prometheus itself makes. */
const OF_PROMETHEUS = ['up']

/** Every metric that a process registers: the page of ours is made from the code and held to it. */
async function registered(): Promise<ReadonlySet<string>> {
  const page = readFileSync('docs/operations/metrics.md', 'utf8')
  const ours = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name = '']) => name)
  const nodes = (await createRegistry().getMetricsAsJSON()).map(({ name }) => name)
  return new Set([...ours, ...nodes, ...OF_PROMETHEUS])
}

const KEYWORDS = new Set([
  ...[
    'sum',
    'by',
    'rate',
    'increase',
    'histogram_quantile',
    'time',
    'le',
    'and',
    'or',
    'max',
    'min',
  ],
])

/** The metrics an expression names: its words but for functions, labels and durations. */
function metricsOf(expr: string): string[] {
  const bare = expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|"[^"]*"/g, ' ')
  const words = [...bare.matchAll(/[a-z_][a-z0-9_]*/gi)].map(([word]) => word)
  return words
    .filter((word) => !KEYWORDS.has(word) && !/^e\d+$/.test(word))
    .map((word) => word.replace(/_bucket$/, ''))
}

interface Panel {
  readonly title: string
  readonly type: string
  readonly targets?: readonly { readonly expr: string }[]
}
const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
  readonly panels: readonly Panel[]
}
const alerts = readFileSync(ALERTS, 'utf8')
const rules = alerts.split('- alert: ').slice(1)
const exprOf = (rule: string) => /^ *expr: (.*)$/m.exec(rule)?.[1] ?? ''

describe('dashboards and alerts', () => {
  it('name only metrics that exist', async () => {
    const known = await registered()
    for (const { title, targets = [] } of dashboard.panels) {
      for (const { expr } of targets)
        for (const name of metricsOf(expr)) assert.ok(known.has(name), `${title}: ${name}`)
    }
    for (const rule of rules)
      for (const name of metricsOf(exprOf(rule)))
        assert.ok(known.has(name), `${rule.split('\n')[0]}: ${name}`)
  })

  it('would be caught naming one that does not', async () => {
    const [name = ''] = metricsOf(
      'sum by (le) (rate(subnet_validator_wrong_seconds_bucket{a="b"}[5m]))',
    )
    assert.equal(name, 'subnet_validator_wrong_seconds')
    assert.equal((await registered()).has(name), false)
  })

  it('have something in every panel, and an expression, a severity and an action in every alert', () => {
    assert.ok(rules.length >= 10 && dashboard.panels.length >= 20)
    for (const { title, type, targets = [] } of dashboard.panels)
      assert.ok(type === 'row' || targets.length > 0, title)
    for (const rule of rules) {
      const [name] = rule.split('\n')
      assert.ok(metricsOf(exprOf(rule)).length > 0, `${name} has an expression`)
      assert.match(rule, /severity: (warning|critical)/, `${name} has a severity`)
      assert.match(rule, /action: \S/, `${name} says what to do`)
    }
  })

  it('show every metric of the validator', () => {
    const shown = new Set(
      dashboard.panels.flatMap(({ targets = [] }) =>
        targets.flatMap(({ expr }) => metricsOf(expr)),
      ),
    )
    const page = readFileSync('docs/operations/metrics.md', 'utf8')
    for (const [, name = ''] of page.matchAll(/^\| `(subnet_validator_[a-z_]+)` \|/gm))
      assert.ok(shown.has(name), `${name} has no panel`)
  })
})
