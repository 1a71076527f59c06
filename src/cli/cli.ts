import { ConfigError, nearestWord } from '../config/index.js'
import { describeError, isAbort } from '../lib/errors.js'
import { packageVersion } from '../lib/version.js'
import type { Command, CommandIo } from './command.js'
import { COMMANDS } from './commands/index.js'
import { CliError } from './errors.js'

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** The flag of the usage text that an unknown one was probably meant to be, as a question. */
function suggestion(error: Error, usage: string): string {
  const typed = /^Unknown option '(--[^']+)'/.exec(error.message)?.[1]
  const meant = typed && nearestWord(typed, usage.match(/--[a-z][\w-]*/g) ?? [])
  return meant ? `; did you mean ${meant}?` : ''
}

/** Bad words or settings, as opposed to work that failed. */
const isBadInput = (error: unknown): boolean =>
  error instanceof CliError ||
  error instanceof ConfigError ||
  codeOf(error).endsWith('_OPTION_INVALID')

/** True for what `node:util` parseArgs throws for words it was not told of. */
const isUnknownWord = (error: unknown): error is Error => codeOf(error).startsWith('ERR_PARSE_ARGS')

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
  if (verb === '--version' || verb === '-v') {
    io.out(packageVersion())
    return 0
  }
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') {
    io.out(await listVerbs())
    return verb === undefined ? 2 : 0
  }
  const load = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined
  if (load === undefined) {
    const meant = nearestWord(verb, Object.keys(COMMANDS))
    io.err(`subreel has no verb ${JSON.stringify(verb)}; did you mean ${meant}?\n`)
    io.err(await listVerbs())
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
    if (isUnknownWord(error)) {
      io.err(
        `${error.message}${suggestion(error, command.usage)}\n\nsubreel ${verb} --help tells more.`,
      )
      return 2
    }
    io.err(describeError(error))
    return isBadInput(error) ? 2 : 1
  }
}
