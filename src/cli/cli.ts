import { describeError, isAbort } from '../lib/errors.js'
import type { Command, CommandIo } from './command.js'
import { COMMANDS } from './commands/index.js'
import { CliError } from './errors.js'

/** True for what `node:util` parseArgs and our own parsers throw for bad arguments. */
function isUsageError(error: unknown): boolean {
  if (error instanceof CliError) return true
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return (
    typeof code === 'string' && (code.startsWith('ERR_PARSE_ARGS') || code === 'CONFIG_INVALID')
  )
}

async function listVerbs(): Promise<string> {
  const rows = await Promise.all(
    Object.entries(COMMANDS).map(
      async ([verb, load]) => `  ${verb.padEnd(12)} ${(await load()).summary}`,
    ),
  )
  return [
    'usage: subreel VERB [arguments]',
    '',
    ...rows,
    '',
    'subreel VERB --help tells more.',
  ].join('\n')
}

/** Runs `subreel` with the given words. Returns the exit code. */
export async function runCli(argv: readonly string[], io: CommandIo): Promise<number> {
  const [verb, ...rest] = argv
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    io.out(await listVerbs())
    return verb === undefined ? 2 : 0
  }
  const load = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined
  if (load === undefined) {
    io.err(`subreel has no verb ${JSON.stringify(verb)}\n\n${await listVerbs()}`)
    return 2
  }
  const command: Command = await load()
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(command.usage)
    return 0
  }
  try {
    return await command.run(rest, io)
  } catch (error) {
    if (isAbort(error)) return 130
    io.err(describeError(error))
    return isUsageError(error) ? 2 : 1
  }
}
