import { startProcess } from '#src/config/index.js'
import { startGateway } from '#src/gateway/start.js'

process.exitCode = await startProcess({
  process: 'gateway',
  usage:
    'usage: node dist/services/gateway/main.js [settings]\n\nTakes jobs from users over HTTP and hands them to the validator.',
  start: (config, context) => startGateway(config, context),
})
