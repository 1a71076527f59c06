import { startProcess } from './config/index.js'
import { startMiner } from './miner/miner.js'

// Half of what a process loads: a worker, which needs neither, is back the sooner after a crash.
const neuron = () => import('./neuron/index.js')

process.exitCode = await startProcess({
  process: 'miner',
  usage:
    'usage: node dist/miner.js --netuid NETUID [settings]\n\nTakes tasks from validators, works on them and hands out the results.',
  start: (config, context, env) =>
    startMiner(config, context, {
      chain: async () => (await neuron()).openChain(config, context),
      signer: async () => (await neuron()).openSigner(config, env),
    }),
})
