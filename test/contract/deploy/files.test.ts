// No container engine runs in the tests: what the files say is held against the code instead. Every
// command of compose.yml goes through the parser that the process itself uses.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadConfig, PROCESSES, type ProcessName, SETTINGS, settingOf } from '#src/config/index.js'
import { must } from '#src/lib/errors.js'

const OURS = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string(), target: z.string() }).optional(),
  command: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal('ALL')]),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]),
  stop_grace_period: z.string().regex(/^\d+s$/),
})
const Compose = z.object({
  services: z.record(z.string(), z.looseObject({ image: z.string() })),
  volumes: z.record(z.string(), z.unknown()),
})

const dockerfile = readFileSync('docker/Dockerfile', 'utf8')
const composeText = readFileSync('docker/compose.yml', 'utf8')
const compose = Compose.parse(parse(composeText, { merge: true }))
const ours = Object.entries(compose.services)
  .filter(([, { image }]) => image.startsWith('subreel-'))
  .map(([name, service]) => [name, OURS.parse(service)] as const)

/** docker/.env.example as a user would have filled it in. */
const filled = Object.fromEntries(
  readFileSync('docker/.env.example', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('='))
    .map(([name = '', value = '']) => [name, value === '' ? '192.0.2.1' : value]),
)
type Interpolate = (text: string) => string
const withFilled: Interpolate = (text) =>
  text.replaceAll(/\$\{(\w+)(?::[-?][^}]*)?\}/g, (_, name) => must(filled[name], name))
/** With only what must be filled in. */
const withDefaults: Interpolate = (text) => withFilled(text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1'))

/** The program of a service and the flags it gets, through ENTRYPOINT and command. */
function commandOf(
  image: string,
  command: readonly string[],
  interpolate: Interpolate,
): [string, readonly string[]] {
  const entrypoints = new Map(
    [...dockerfile.matchAll(/ AS (\w+)\n(?:(?!FROM)[\s\S])*?ENTRYPOINT (\[.*\])/g)].map(
      ([, target, words]) => [target, z.array(z.string()).parse(JSON.parse(must(words, 'words')))],
    ),
  )
  const [, , , ...rest] = must(entrypoints.get(image.replace('subreel-', '')), image)
  const [script = '', ...flags] = [...rest, ...command.map(interpolate)]
  return [script, flags]
}

const processOf = (script: string): ProcessName =>
  must(
    PROCESSES.find((name) => script === `dist/${name}.js` || script.includes(`/${name}/`)),
    script,
  )
const KNOWN_ENV = new Set(
  Object.keys(SETTINGS).flatMap((name) => settingOf(name as never).env ?? []),
)

describe('docker/Dockerfile', () => {
  it('copies only what the repository has and .dockerignore lets through', () => {
    const allowed = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    for (const [, words = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const path of words.split(' ')) {
        assert.ok(existsSync(path), `${path} exists`)
        assert.ok(
          allowed.some((name) => path === name || path.startsWith(`${name}/`)),
          `${path} is in the build context`,
        )
      }
    }
  })

  it('holds all that the package needs at run time', () => {
    const { files } = JSON.parse(readFileSync('package.json', 'utf8'))
    const forReaders = ['docs', 'README.md', 'CHANGELOG.md', 'ecosystem.config.cjs']
    for (const name of files.filter((name: string) => !forReaders.includes(name)))
      assert.match(dockerfile, new RegExp(`^COPY (--from=build /app/)?${name} ${name}$`, 'm'), name)
  })

  it('runs without root, under names and ports that the settings have', () => {
    assert.match(dockerfile, /^USER 10001:10001$/m)
    for (const [, name] of dockerfile.matchAll(/^\s*(?:ENV )?(SUBREEL_\w+)=/gm))
      assert.ok(KNOWN_ENV.has(must(name, 'name')), `${name} is a setting`)
    const ports = [...dockerfile.matchAll(/^EXPOSE (.+)$/gm)].flatMap(([, list = '']) =>
      list.split(' '),
    )
    const defaults: (string | undefined)[] = Object.keys(SETTINGS)
      .filter((name) => name.endsWith('.port'))
      .map((name) => settingOf(name as never).default)
    for (const port of ports) assert.ok(defaults.includes(port), `${port} is the port of a process`)
    for (const [, script] of dockerfile.matchAll(/"((?:dist|docker)\/[\w/]+\.m?js)"/g))
      assert.ok(existsSync(must(script, 'script')), `${script} exists`)
  })
})

describe('docker/compose.yml', () => {
  for (const [what, interpolate] of [
    ['filled in', withFilled],
    ['left as far as may be', withDefaults],
  ] as const) {
    it(`starts all processes, each with settings that it accepts, .env ${what}`, () => {
      const started = ours.map(([name, { image, command, environment }]) => {
        const [script, argv] = commandOf(image, command, interpolate)
        assert.ok(existsSync(script), `${name}: ${script} exists`)
        const env = Object.fromEntries(
          Object.entries(environment).map(([key, value]) => [key, interpolate(value)]),
        )
        for (const key of Object.keys(env))
          assert.ok(KNOWN_ENV.has(key), `${name}: ${key} is a setting`)
        const of = processOf(script)
        const { config, positionals } = loadConfig({ argv, env, process: of })
        assert.deepEqual(positionals, [], name)
        assert.equal(config['admin.host'], '0.0.0.0', `${name} can be scraped`)
        return of
      })
      assert.deepEqual([...new Set(started)].sort(), [...PROCESSES].sort())
    })
  }

  it('gives running work the time that the process gives it', () => {
    const grace = Number(SETTINGS['shutdown.grace_seconds'].default)
    for (const [name, { stop_grace_period }] of ours)
      assert.ok(Number.parseInt(stop_grace_period, 10) > grace, name)
  })

  it('builds each of its images once, from targets that exist', () => {
    const built = ours.flatMap(([, { image, build }]) =>
      build === undefined ? [] : [{ image, build }],
    )
    assert.deepEqual(
      built.map(({ image }) => image).sort(),
      [...new Set(ours.map(([, { image }]) => image))].sort(),
    )
    for (const { image, build } of built) {
      assert.ok(existsSync(join('docker', build.context, build.dockerfile)))
      assert.equal(image, `subreel-${build.target}`)
      assert.ok(dockerfile.includes(` AS ${build.target}\n`), build.target)
    }
    // The service that builds an image may be of another profile than one that uses it.
    for (const page of ['docker/compose.yml', 'docs/operations/deploy.md'])
      assert.match(readFileSync(page, 'utf8'), /--profile '\*' build\n.* up -d/, page)
  })

  it('asks for no variable that docker/.env.example does not name', () => {
    for (const [, name] of composeText.matchAll(/(?<!\$)\$\{(\w+)/g))
      assert.ok(name !== undefined && name in filled, `${name} is in docker/.env.example`)
  })

  it('mounts files that exist and volumes that are declared', () => {
    const mounts = Object.values(compose.services).flatMap(
      (service) => z.array(z.string()).optional().parse(service['volumes']) ?? [],
    )
    for (const mount of mounts) {
      const [source = ''] = withFilled(mount).split(':')
      if (source.startsWith('./')) assert.ok(existsSync(join('docker', source)), source)
      else if (!source.startsWith('/')) assert.ok(source in compose.volumes, source)
    }
  })

  it('keeps Redis in the way that the processes ask for', () => {
    const { command } = z.object({ command: z.array(z.string()) }).parse(compose.services['redis'])
    assert.match(command.join(' '), /--appendonly yes .*--maxmemory-policy noeviction/)
  })

  it('has every process scraped', () => {
    const targets = [...readFileSync('docker/prometheus.yml', 'utf8').matchAll(/- (\w+):9464$/gm)]
    assert.deepEqual(targets.map(([, name]) => name).sort(), ours.map(([name]) => name).sort())
  })
})

describe('systemd/subreel@.service', () => {
  const unit = readFileSync('systemd/subreel@.service', 'utf8')
  const of = (key: string) =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, v]) => v)

  it('names programs that exist for its instances', () => {
    const instances = [...unit.matchAll(/subreel@([\w-]+)/g)].map(([, name]) => must(name, 'name'))
    const programs = [...new Set(instances)].map((name) => `dist/${name.replaceAll('-', '/')}.js`)
    assert.equal(programs.length, PROCESSES.length)
    for (const path of programs) assert.ok(existsSync(path), path)
  })

  it('names pages that exist', () => {
    for (const [page] of unit.matchAll(/docs\/[\w/-]+\.md/g)) assert.ok(existsSync(page), page)
  })

  it('sets what the settings know, and waits longer than the process does', () => {
    for (const line of of('Environment')) {
      const [name = ''] = (line ?? '').split('=')
      assert.ok(KNOWN_ENV.has(name) || ['NODE_ENV', 'SUBREEL_CONFIG'].includes(name), name)
    }
    assert.ok(Number(of('TimeoutStopSec')[0]) > Number(SETTINGS['shutdown.grace_seconds'].default))
  })

  it('is what systemd understands', (t) => {
    const { error, status, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', 'systemd/subreel@.service'],
      {
        encoding: 'utf8',
      },
    )
    // Where there is no systemd (macOS) the two tests above must do.
    if (error !== undefined) return t.diagnostic('systemd-analyze is not here')
    const complaints = stderr
      .split('\n')
      .filter((line) => line !== '' && !line.includes('/usr/bin/node'))
    assert.deepEqual(complaints, [], `${dirname(process.execPath)}, exit ${status}`)
  })
})
