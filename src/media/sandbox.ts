import { constants, existsSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { childEnv } from '../lib/env.js'
import { MediaError } from './errors.js'
import { runProcess, toolMissing } from './process.js'

/**
 * `auto` uses what the machine has, `required` refuses to run without bubblewrap, `off` is for files
 * that we made ourselves.
 */
export type SandboxMode = 'auto' | 'required' | 'off'

export interface SandboxTools {
  /** bubblewrap is installed and user namespaces work. */
  readonly bubblewrap: boolean
  /** util-linux prlimit is installed. */
  readonly prlimit: boolean
  /** util-linux setpriv is installed and knows --pdeathsig. */
  readonly setpriv: boolean
}

export interface SandboxPolicy {
  readonly mode: SandboxMode
  /** Files the tool may read. */
  readonly reads: readonly string[]
  /** Folders the tool may write into. */
  readonly writes: readonly string[]
  /** Address space, in bytes. */
  readonly maxMemoryBytes: number
  /** Largest file it may write, in bytes. */
  readonly maxFileBytes: number
  /** Wall-clock limit, of which the CPU limit follows; undefined: no CPU limit. */
  readonly timeoutMs: number | undefined
}

let detected: Promise<SandboxTools> | undefined

/** What this machine can confine a process with. Tried once, by running it. */
export function sandboxTools(): Promise<SandboxTools> {
  detected ??= detect()
  return detected
}

async function detect(): Promise<SandboxTools> {
  if (process.platform !== 'linux') return { bubblewrap: false, prlimit: false, setpriv: false }
  const works = (command: string, args: readonly string[]) =>
    runProcess(command, args, { timeoutMs: 5000 }).then(
      () => true,
      () => false,
    )
  const [bubblewrap, prlimit, setpriv] = await Promise.all([
    works('bwrap', ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--', 'true']),
    works('prlimit', ['--nproc', '--', 'true']),
    works('setpriv', ['--pdeathsig', 'KILL', '--', 'true']),
  ])
  return { bubblewrap, prlimit, setpriv }
}

/** System folders a dynamically linked tool needs, read-only. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/opt', '/nix/store']
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives', '/etc/fonts']

/**
 * The command line that runs `command` confined: no network, no other processes, no files but the ones
 * named, limited memory, CPU time, file size and processes.
 * @throws MediaError MEDIA_SANDBOX_MISSING, MEDIA_TOOL_MISSING
 */
export async function confine(
  command: string,
  args: readonly string[],
  policy: SandboxPolicy,
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  if (policy.mode === 'off') return { command, args }
  await requireTool(command)
  const tools = await sandboxTools()
  if (policy.mode === 'required' && !tools.bubblewrap) {
    throw new MediaError(
      { code: 'MEDIA_SANDBOX_MISSING' },
      'a sandbox is required and bubblewrap does not work here: install bubblewrap and allow user namespaces',
    )
  }
  const limited = tools.prlimit ? [...limits(policy), command, ...args] : [command, ...args]
  const line = tools.bubblewrap ? [...box(command, policy), ...limited] : limited
  const [program = '', ...rest] = line
  return tied(program, rest)
}

/** Of a tool that is not there a wrapper would only say that it failed itself. */
async function requireTool(command: string): Promise<void> {
  const folders = command.includes('/') ? [''] : (childEnv()['PATH'] ?? '').split(delimiter)
  const tries = folders.map((folder) => access(join(folder, command), constants.X_OK))
  await Promise.any(tries).catch((cause: unknown) => {
    throw toolMissing(command, cause)
  })
}

/** What `sh` checks before it becomes the tool: a parent that died before the tie leaves another in its place. */
const IF_PARENT_LIVES = '[ "$PPID" = "$0" ] && exec "$@"'

/**
 * The command line of a tool that dies with `parent`: it must not go on writing where its successor
 * works. Without setpriv (macOS) the tool runs as it is.
 * @throws MediaError MEDIA_TOOL_MISSING
 */
export async function tied(
  command: string,
  args: readonly string[],
  parent: number = process.pid,
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  await requireTool(command)
  const { setpriv } = await sandboxTools()
  if (!setpriv) return { command, args }
  const check = ['sh', '-c', IF_PARENT_LIVES, `${parent}`]
  return { command: 'setpriv', args: ['--pdeathsig', 'KILL', '--', ...check, command, ...args] }
}

function limits(policy: SandboxPolicy): string[] {
  const cpu =
    policy.timeoutMs === undefined
      ? []
      : [`--cpu=${Math.ceil((policy.timeoutMs / 1000) * availableParallelism()) + 1}`]
  return [
    'prlimit',
    `--as=${policy.maxMemoryBytes}`,
    `--fsize=${policy.maxFileBytes}`,
    '--core=0',
    // Counted over all processes of the user: high enough for a busy machine, low enough for a fork bomb.
    '--nproc=4096',
    ...cpu,
    '--',
  ]
}

function box(command: string, policy: SandboxPolicy): string[] {
  const tool = isAbsolute(command) ? [dirname(command)] : []
  return [
    'bwrap',
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    ...[...SYSTEM, ...SYSTEM_FILES].filter(existsSync).flatMap((path) => ['--ro-bind', path, path]),
    ...tool.flatMap((path) => ['--ro-bind-try', path, path]),
    ...policy.writes.flatMap((path) => ['--bind', path, path]),
    ...policy.reads.flatMap((path) => ['--ro-bind', path, path]),
    '--chdir',
    '/',
    '--',
  ]
}
