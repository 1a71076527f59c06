import { startProcess } from './config/index.js'
import { startMiner } from './miner/miner.js'
import { openChain, openSigner } from './neuron/index.js'

process.exitCode = await startProcess({
  process: 'miner',
  usage:
    'usage: node dist/miner.js --netuid NETUID [settings]\n\nTakes tasks from validators, works on them and hands out the results.',
  start: (config, context, env) =>
    startMiner(config, context, {
      chain: async () => openChain(config, context),
      signer: () => openSigner(config, env),
    }),
})
