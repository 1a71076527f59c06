import { startProcess } from './config/index.js'
import { openChain, openSigner } from './neuron/index.js'
import { startValidator } from './validator/validator.js'

process.exitCode = await startProcess({
  process: 'validator',
  usage:
    'usage: node dist/validator.js --netuid NETUID [settings]\n\nChallenges miners, judges their answers, sets weights on chain.',
  start: async (config, context, env) =>
    startValidator(config, context, {
      signer: await openSigner(config, env),
      chain: (ledger) => openChain(config, context, { ledger }),
    }),
})
