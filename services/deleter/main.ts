import { startProcess } from '#src/config/start.js'
import { startDeleter } from './service.js'

process.exitCode = await startProcess({
  process: 'deleter',
  usage: 'node dist/services/deleter/main.js [options]: deletes results whose time is over.',
  start: (config, context) => startDeleter(config, context, config['deleter.port']),
})
