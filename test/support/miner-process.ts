/**
 * A miner as a process of its own, with ffmpeg for an engine and a chain that stands still: what
 * tests start, kill and start again. Its flags are the miner's.
 */
import { startProcess } from '#src/config/start.js'
import { configuredEngines } from '#src/miner/engines.js'
import { startMiner } from '#src/miner/miner.js'
import { signerFromUri } from '#src/wallet/index.js'
import { FakeChain } from './fake-chain.js'
import { ffmpegEngines } from './ffmpeg-engines.js'

const neurons = [
  { uri: '//Alice', stake: 0, validatorPermit: false },
  { uri: '//Bob', stake: 50_000, validatorPermit: true },
  { uri: '//Charlie', stake: 100, validatorPermit: true },
  { uri: '//Dave', stake: 1_000, validatorPermit: false },
]

process.exitCode = await startProcess({
  process: 'miner',
  usage: 'test miner',
  start: (config, context) => {
    const given = config['wallet.hotkey']
    const uri = given.startsWith('//') ? given : '//Alice'
    const own = neurons.some((neuron) => neuron.uri === uri)
      ? []
      : [{ uri, stake: 0, validatorPermit: false }]
    return startMiner(config, context, {
      chain: async () => new FakeChain([...neurons, ...own]),
      signer: async () => signerFromUri(uri, { chainEndpoint: 'ws://127.0.0.1:9944' }),
      engines: ffmpegEngines(configuredEngines(config, context.log, context.registry)),
    })
  },
})
