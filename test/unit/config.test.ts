import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError, formatConfig, formatHelp, loadConfig, showConfig } from '#src/config/index.js'

const load = (argv: string[], env: Record<string, string> = {}, file?: string) =>
  loadConfig({
    argv: file === undefined ? argv : ['--config', 'c.toml', ...argv],
    env,
    process: 'miner',
    readFile: () => file ?? '',
  })

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.ok(error.data.code === 'CONFIG_INVALID')
    return error.data.problems
  }
  throw new Error('nothing was wrong')
}

describe('configuration', () => {
  it('lets a flag beat the environment, which beats the file, which beats the default', () => {
    const file = 'netuid = 1\n[wallet]\nname = "file"\nhotkey = "file"\n'
    const { config, origins } = load(
      ['--netuid', '3'],
      { BT_NETUID: '2', BT_WALLET_NAME: 'env' },
      file,
    )
    assert.equal(config.netuid, 3)
    assert.equal(config['wallet.name'], 'env')
    assert.equal(config['wallet.hotkey'], 'file')
    assert.equal(config['axon.port'], 8091)
    assert.deepEqual(
      [origins.netuid, origins['wallet.name'], origins['wallet.hotkey'], origins['axon.port']],
      ['flag', 'environment', 'file', 'default'],
    )
  })

  it('takes both spellings of a value, switches, their negation, and hyphens for underscores', () => {
    const { config } = load([
      '--netuid=85',
      '--axon.external-ip=1.2.3.4',
      '--logging.debug',
      '--no-blacklist.force_validator_permit',
      '--blacklist.allow_non_registered',
      'true',
    ])
    assert.equal(config['axon.external_ip'], '1.2.3.4')
    assert.equal(config['logging.debug'], true)
    assert.equal(config['blacklist.force_validator_permit'], false)
    assert.equal(config['blacklist.allow_non_registered'], true)
  })

  it('reports all problems together, with the nearest name for an unknown flag', () => {
    const problems = problemsOf(() =>
      load(['--netuid', 'nonsense', '--walet.name', 'x', '--axon.port=99999']),
    )
    assert.equal(problems.length, 3)
    assert.match(problems.join('\n'), /--netuid must be an integer in 0\.\.65535, got "nonsense"/)
    assert.match(
      problems.join('\n'),
      /--walet\.name is not a setting; did you mean --wallet\.name\?/,
    )
  })

  it('refuses to negate what is no switch, values after a negation, and single dashes', () => {
    const words = [
      '--netuid=1',
      '--no-axon.port',
      '--no-logging.debug=false',
      '-axon.port',
      'stray',
    ]
    assert.deepEqual(
      problemsOf(() => load(words)),
      [
        '--no-axon.port: axon.port is not a switch; leave it out instead',
        '--no-logging.debug takes no value',
        '-axon.port is not a flag, which begin with two dashes; did you mean --axon.port?',
        'unexpected argument: stray',
      ],
    )
  })

  it('suggests flags of the caller too', () => {
    const typo = () => loadConfig({ argv: ['--limt', '1'], env: {}, ownFlags: ['limit'] })
    assert.match(problemsOf(typo).join(), /did you mean --limit\?/)
  })

  it("reads the reference miner's names of a bucket, and takes a bucket that is named for one to use", () => {
    const { config, origins, envNames } = load(['--netuid', '1'], {
      MINER_STORAGE_S3_BUCKET_NAME: 'vidaio',
      MINER_STORAGE_S3_ENDPOINT_URL: '',
      MINER_STORAGE_S3_REGION: 'us-west-1',
      MINER_STORAGE_S3_ACCESS_KEY_ID: 'id',
      MINER_STORAGE_S3_SECRET_ACCESS_KEY: 'secret',
      MINER_STORAGE_S3_PRESIGNED_EXPIRY: '3600',
    })
    assert.deepEqual(
      [config['bucket.type'], config['bucket.name'], config['bucket.endpoint']],
      ['s3', 'vidaio', undefined],
    )
    assert.equal(config['bucket.access_key']?.reveal(), 'id')
    assert.equal(config['bucket.secret_key']?.reveal(), 'secret')
    assert.equal(config['bucket.expiry_seconds'], 3600)
    assert.equal(origins['bucket.region'], 'environment')
    assert.equal(envNames['bucket.region'], 'MINER_STORAGE_S3_REGION')
    for (const [word, type] of [
      ['Backblaze', 'backblaze'],
      ['amazon_s3', 'aws'],
      ['cloudflare', 'r2'],
    ] as const) {
      const env = { MINER_STORAGE_PROVIDER: word }
      assert.equal(load(['--netuid', '1'], env).config['bucket.type'], type, word)
    }
  })

  it('names what was meant by a name of a bucket that nothing reads', () => {
    const told = (env: Record<string, string>) =>
      problemsOf(() => load(['--netuid', '1'], env)).join('\n')
    for (const [name, meant] of [
      ['BUTKET_COMPATIBLE_ACCESS_KEY', /did you mean BUCKET_COMPATIBLE_ACCESS_KEY\?/],
      ['BUCKET_COMPATIBLE_REGION', /did you mean BUCKET_REGION\?/],
      ['MINER_STORAGE_S3_SECRET_KEY', /did you mean MINER_STORAGE_S3_SECRET_ACCESS_KEY\?/],
      ['MINER_STORAGE_S3_BUCKET', /did you mean MINER_STORAGE_S3_BUCKET_NAME\?/],
      ['MINER_STORAGE_OBJECT_TTL_SECONDS', /BUCKET_EXPIRY_SECONDS/],
    ] as const) {
      assert.match(told({ [name]: 'x' }), meant, name)
      assert.ok(!told({ [name]: 'secret-value', BT_NETUID: 'x' }).includes('secret-value'), name)
    }
    assert.match(
      told({ BUCKET_NAME: 'a', MINER_STORAGE_S3_BUCKET_NAME: 'b' }),
      /BUCKET_NAME and MINER_STORAGE_S3_BUCKET_NAME mean the same setting and differ/,
    )
    assert.match(
      told({ MINER_STORAGE_PROVIDER: 'dropbox' }),
      /MINER_STORAGE_PROVIDER must be one of/,
    )
    load(['--netuid', '1'], { BUCKET_HOST: 'set by a claim', BUCKET_TPYE: '' })
  })

  it('takes numbers of a file where text, choices and lists are wanted, and no dates', () => {
    const file = [
      'netuid = 85',
      'cuda.visible_devices = 0',
      'miner.max_content_length = 20',
      'miner.generate_blocked_ips = [1, "2"]',
    ].join('\n')
    const { config } = load([], {}, file)
    assert.deepEqual(config['cuda.visible_devices'], ['0'])
    assert.equal(config['miner.max_content_length'], '20')
    assert.deepEqual(config['miner.generate_blocked_ips'], ['1', '2'])
    assert.match(
      problemsOf(() => load([], {}, 'netuid = 1979-05-27')).join(),
      /netuid in the configuration file must be an integer/,
    )
    assert.deepEqual(
      problemsOf(() => load([], {}, 'netuid = 1\nminer.tasks = [true, false]')),
      ['miner.tasks in the configuration file must be a comma-separated list, got [true,false]'],
    )
  })

  it('takes of networks and addresses only what can be one', () => {
    const good = [
      '--subtensor.network',
      'wss://own:443,finney',
      '--axon.external_ip',
      '2001:db8::7',
    ]
    assert.equal(load(['--netuid=1', ...good]).config['subtensor.network'], 'wss://own:443,finney')
    const problems = problemsOf(() =>
      load(
        ['--netuid=1', '--subtensor.network=mainet', '--subtensor.chain_endpoint=ws://a,http://b'],
        { BT_AXON_EXTERNAL_IP: '999.1.1.1' },
      ),
    )
    assert.equal(problems.length, 3, problems.join('\n'))
    assert.equal(
      load(['--netuid=1'], { BT_AXON_EXTERNAL_IP: '' }).config['axon.external_ip'],
      undefined,
    )
  })

  it('gives one reason for an empty value', () => {
    const problems = problemsOf(() => load(['--netuid=1', '--axon.external_ip=']))
    assert.deepEqual(problems, ['--axon.external_ip must not be empty, got ""'])
  })

  it('says what is required', () => {
    assert.match(problemsOf(() => load([])).join(), /--netuid is required \(or BT_NETUID\)/)
  })

  it('names unknown keys of the file and the line of bad TOML', () => {
    assert.match(
      problemsOf(() => load(['--netuid', '1'], {}, '[axon]\nprot = 1\n')).join(),
      /axon\.prot .*axon\.port/,
    )
    assert.throws(() => load([], {}, 'netuid = \n'), /cannot use c\.toml: line 1/)
  })

  it('masks secrets in every form, wrong values included', () => {
    const env = {
      BUCKET_COMPATIBLE_SECRET_KEY: 'hunter2',
      COMFYUI_TOKENS: 'hunter2,hunter2',
      REDIS_URL: 'redis://:hunter2@127.0.0.1',
    }
    const effective = load(['--netuid', '1'], env)
    const shown = `${formatConfig(showConfig(effective))}${JSON.stringify(effective)}`
    assert.ok(!shown.includes('hunter2'))
    assert.ok(
      !problemsOf(() => load(['--netuid', '1'], { REDIS_URL: 'hunter2' }))
        .join()
        .includes('hunter2'),
    )
  })

  it('shows URLs without the keys that services put into them', () => {
    const words = [
      '--netuid=1',
      '--subtensor.chain_endpoint=wss://me:hunter2@a/ws,wss://b/ws?key=hunter2',
      '--miner.upscaler_url=http://me:hunter2@c:1/x',
    ]
    const shown = formatConfig(showConfig(load(words)))
    assert.ok(!shown.includes('hunter2'), shown)
    assert.match(shown, /wss:\/\/\[Redacted\]@a\/ws,wss:\/\/b\/ws\?\[Redacted\]/)
    const wrong = problemsOf(() => load(['--netuid=1', '--subtensor.network=http://a?k=hunter2']))
    assert.ok(!wrong.join().includes('hunter2'), wrong.join())
  })

  it('keeps empty tokens in place so that they line up with their servers', () => {
    const { config } = load(['--netuid', '1'], { COMFYUI_TOKENS: ',b,,d' })
    assert.deepEqual(
      config['comfyui.tokens']?.map((token) => token.reveal()),
      ['', 'b', '', 'd'],
    )
  })

  it('lists every setting of the process with default and environment name', () => {
    const help = formatHelp('usage', 'miner')
    assert.match(help, /--netuid {2}\(required; BT_NETUID\)/)
    assert.match(help, /--axon\.port {2}\(default 8091; BT_AXON_PORT\)/)
    assert.ok(!help.includes('--wandb.mode'), 'a setting of the validator')
  })
})
