import assert from 'node:assert/strict'
import { cp, mkdir } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Devnet, startDevnet } from '#src/devnet/index.js'
import { openState } from '#src/validator/state/open.js'
import { FIXTURES, MinerProcess, type MinerSetup, SHIPPED, scratch } from '../support/miner.js'
import { freePort } from '../support/ports.js'
import { TestRedis } from '../support/redis.js'
import { readerEnv, type S3Server, startSeaweed } from '../support/s3.js'

/** What a validator of ours says of a miner, by how the miner fails. */
const EXPECTED: Readonly<Record<string, { outcome: string; reason: RegExp }>> = {
  Silent: { outcome: 'no_answer', reason: /no answer: timeout/ },
  Nothing: { outcome: 'empty_url', reason: /without a URL/ },
  Missing: { outcome: 'download_failed', reason: /404/ },
  Forbidden: { outcome: 'download_failed', reason: /403/ },
  ServiceDown: { outcome: 'refused', reason: /503/ },
  UploadFails: { outcome: 'empty_url', reason: /without a URL/ },
  Fine: { outcome: 'scored', reason: /^Scored 0\.\d+/ },
}

describe('a round of the validator as it ships, among miners that fail', () => {
  const closing: (() => Promise<unknown>)[] = []
  let redis: TestRedis
  let s3: S3Server
  let devnet: Devnet
  let validator: MinerProcess
  let startValidator: () => Promise<MinerProcess>
  let silent: MinerProcess
  let dir = ''
  const names = Object.keys(EXPECTED)

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(async () => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    assert.ok(address !== null && typeof address !== 'string')
    return `http://127.0.0.1:${address.port}`
  }

  const answering = (status: number): Promise<string> =>
    serve((_, response) => response.writeHead(status).end())

  async function startMiner(name: string, setup: Pick<MinerSetup, 'flags' | 'env'> = {}) {
    const port = await freePort()
    const miner = await MinerProcess.start({
      redisUrl: redis.url,
      dir: join(dir, name),
      port,
      flags: [
        ...['--wallet.hotkey', `//${name}`, '--queue.prefix', `{${name}}`],
        ...['--miner.tasks', 'compression', ...(setup.flags ?? [])],
      ],
      ...(setup.env === undefined ? {} : { env: setup.env }),
    })
    closing.push(() => miner.end())
    return { port, miner }
  }

  before(async () => {
    const made = await scratch()
    dir = made.dir
    redis = await TestRedis.start()
    s3 = await startSeaweed()
    closing.push(
      made.remove,
      () => redis.close(),
      () => s3.close(),
    )
    const corpus = join(dir, 'corpus')
    await mkdir(corpus)
    await cp(join(FIXTURES, 'bbb480.ref.mp4'), join(corpus, 'clip.mp4'))

    const nothing = await serve((request, response) => {
      request.resume()
      response.setHeader('content-type', 'application/json')
      response.end(request.url === '/health' ? '{}' : '{"uploaded_video_url": null}')
    })
    const elsewhere = (url: string) => ['--bucket.public_url', url, '--no-bucket.check_reachable']
    const started = {
      Silent: await startMiner('Silent'),
      Nothing: await startMiner('Nothing', { flags: ['--miner.compressor_url', nothing] }),
      Missing: await startMiner('Missing', { flags: elsewhere(await answering(404)) }),
      Forbidden: await startMiner('Forbidden', { flags: elsewhere(await answering(403)) }),
      ServiceDown: await startMiner('ServiceDown', {
        flags: ['--miner.compressor_url', `http://127.0.0.1:${await freePort()}`],
      }),
      UploadFails: await startMiner('UploadFails', { env: readerEnv(s3.endpoint) }),
      Fine: await startMiner('Fine'),
    }
    silent = started.Silent.miner
    devnet = await startDevnet({
      blocks: { everyMs: 500 },
      subnets: [
        {
          netuid: 1,
          neurons: [
            { hotkey: '//Bob', coldkey: '//Bob', stake: 50_000, validatorPermit: true },
            ...Object.entries(started).map(([name, { port }]) => ({
              hotkey: `//${name}`,
              axon: { ip: '127.0.0.1', port },
            })),
          ],
        },
      ],
    })
    closing.push(() => devnet.close())
    startValidator = () =>
      MinerProcess.run(SHIPPED.validator, dir, [
        ...['--netuid', '1', '--subtensor.network', devnet.url, '--wallet.hotkey', '//Bob'],
        ...['--neuron.data_dir', join(dir, 'validator'), '--allow-private-urls', '--device', 'cpu'],
        ...['--validator.corpus', corpus, '--validator.kinds', 'compression'],
        ...['--validator.clip_seconds', '0.5', '--validator.round_blocks', '5'],
        ...['--validator.thresholds', '85', '--validator.codecs', 'h264'],
        ...['--validator.as_users', '0', '--validator.round_delay_seconds', '0'],
        ...['--validator.sync_seconds', '1', '--neuron.timeout', '30'],
      ])
    validator = await startValidator()
    closing.push(() => validator.end())
  })
  after(async () => {
    for (const close of closing.reverse()) await close()
  })

  it('gives each its score with a reason, and the one that works is not hurt', async () => {
    // The first round in which all take part: before, some have not said yet what they do.
    const { roundId } = await validator.line(
      ({ event, miners }) => event === 'round.opened' && miners === names.length,
      'round of all miners',
      120_000,
    )
    // While its challenge is still being made.
    silent.pause()
    const ofRound = (event: string) => (line: Record<string, unknown>) =>
      line['event'] === event && line['roundId'] === roundId
    await validator.line(ofRound('round.committed'), 'end of the round', 240_000)
    const scores = validator.log.filter(ofRound('task.scored'))
    for (const [i, name] of names.entries()) {
      const row = scores.find(({ uid }) => uid === i + 1)
      const { outcome, reason } = EXPECTED[name] ?? assert.fail(name)
      assert.ok(row !== undefined, name)
      assert.equal(row['outcome'], outcome, `${name}: ${row['reason']}`)
      assert.match(String(row['reason']), reason, name)
      assert.equal(Number(row['score']) > 0, name === 'Fine', `${name}: ${row['score']}`)
    }
  })

  it('voids the round in which the validator is killed, and the next validator plays on', async () => {
    await silent.end()
    const openedAfter = (lines: number) =>
      validator.line(
        (line) => line['event'] === 'round.opened' && validator.log.indexOf(line) >= lines,
        'another round',
        120_000,
      )
    const { roundId: killed } = await openedAfter(validator.log.length)
    await validator.end()
    assert.ok(
      !validator.log.some((l) => l['event'] === 'round.committed' && l['roundId'] === killed),
    )
    validator = await startValidator()
    const { roundId: next } = await openedAfter(0)
    assert.notEqual(next, killed)
    await validator.line(
      (line) => line['event'] === 'round.committed' && line['roundId'] === next,
      'end of the next round',
      120_000,
    )
    const db = await openState(join(dir, 'validator', 'validator.db'))
    try {
      const statusOf = async (id: unknown) =>
        (
          await db
            .selectFrom('rounds')
            .select('status')
            .where('round_id', '=', String(id))
            .executeTakeFirstOrThrow()
        ).status
      assert.equal(await statusOf(killed), 'void')
      assert.equal(await statusOf(next), 'committed')
      const rows = await db
        .selectFrom('scores')
        .select('uid')
        .where('round_id', '=', String(killed))
        .execute()
      assert.deepEqual(rows, [])
    } finally {
      await db.destroy()
    }
  })
})
