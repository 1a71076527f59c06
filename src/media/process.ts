import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { Deadline, deadline } from '../lib/clock.js'
import { childEnv } from '../lib/env.js'
import { must } from '../lib/errors.js'
import { MediaError } from './errors.js'

/** Enough of the end of stderr to tell what went wrong; a hostile file can make megabytes of it. */
const STDERR_TAIL_BYTES = 16 * 1024

export interface ProcessOptions {
  readonly signal?: AbortSignal | undefined
  /** The process group is ended this many milliseconds after the start. Default: no limit. */
  readonly timeoutMs?: number | undefined
  /** Time between SIGTERM and SIGKILL. Default 0: killed at once, decoders have nothing to save. At most 5000. */
  readonly graceMs?: number | undefined
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Open stdin as a pipe. Default: /dev/null, since tools that read the terminal hang on a pipe. */
  readonly stdin?: boolean | undefined
  /** Open descriptor 3 as a pipe to read from (ffmpeg's `-progress pipe:3`). */
  readonly sideChannel?: boolean | undefined
  /** Name used in errors. Default: the command. */
  readonly tool?: string | undefined
}

export interface RunningProcess {
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  readonly sideChannel: Readable | undefined
  readonly pid: number | undefined
  /** Resolves when the process ended with 0. Rejects with a MediaError, or with the signal's reason. */
  readonly done: Promise<void>
  /** The last bytes of stderr so far. */
  stderrTail(): string
  /** Ends the whole group now. `done` still settles. */
  kill(): void
}

/** Keeps the last `limit` bytes of a stream. */
class Tail {
  #chunks: Buffer[] = []
  #size = 0
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    while (this.#chunks.length > 1 && this.#size - (this.#chunks[0]?.length ?? 0) >= this.#limit) {
      this.#size -= this.#chunks.shift()?.length ?? 0
    }
  }

  toString(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#limit).toString('utf8').trim()
  }
}

/**
 * Starts a tool in a process group of its own. The group dies with the signal or at the deadline,
 * children of the tool included. stdout is the caller's to read: an unread pipe blocks the tool, which
 * is the back-pressure frame readers rely on.
 */
export function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): RunningProcess {
  const tool = options.tool ?? command
  options.signal?.throwIfAborted()
  const child: ChildProcess = spawn(command, [...args], {
    detached: true,
    stdio: [
      options.stdin ? 'pipe' : 'ignore',
      'pipe',
      'pipe',
      ...(options.sideChannel ? (['pipe'] as const) : []),
    ],
    env: { ...childEnv(options.env) },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const stderr = must(child.stderr, 'stderr of a child')
  const tail = new Tail(STDERR_TAIL_BYTES)
  stderr.on('data', (chunk: Buffer) => tail.push(chunk))

  const killGroup = (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // The group is gone already, which is what was wanted.
    }
  }
  const stop = () => {
    const graceMs = Math.min(options.graceMs ?? 0, 5000)
    if (graceMs <= 0) return killGroup('SIGKILL')
    killGroup('SIGTERM')
    deadline(graceMs).addEventListener('abort', () => killGroup('SIGKILL'), { once: true })
  }

  let timedOut = false
  const timeout = options.timeoutMs === undefined ? undefined : new Deadline(options.timeoutMs)
  const onTimeout = () => {
    timedOut = true
    stop()
  }
  timeout?.signal.addEventListener('abort', onTimeout, { once: true })
  options.signal?.addEventListener('abort', stop, { once: true })

  const done = new Promise<void>((resolve, reject) => {
    const settle = (error: unknown) => {
      timeout?.[Symbol.dispose]()
      options.signal?.removeEventListener('abort', stop)
      if (error === undefined) resolve()
      else reject(error)
    }
    child.once('error', (cause) => {
      if (options.signal?.aborted) return settle(options.signal.reason)
      settle(toolMissing(tool, cause))
    })
    child.once('close', (exitCode, signal) => {
      // A tool may leave children behind that outlive it; nothing of its group survives it.
      killGroup('SIGKILL')
      if (options.signal?.aborted) return settle(options.signal.reason)
      if (timedOut) {
        const timeoutMs = must(options.timeoutMs, 'timeout')
        return settle(
          new MediaError(
            { code: 'MEDIA_TIMEOUT', tool, timeoutMs },
            `${tool} did not finish in ${timeoutMs} ms and was killed`,
            { retryable: true },
          ),
        )
      }
      if (exitCode === 0) return settle(undefined)
      const stderrText = tail.toString()
      settle(
        new MediaError(
          { code: 'MEDIA_PROCESS_FAILED', tool, exitCode, signal, stderr: stderrText },
          `${tool} failed (${describeExit(exitCode, signal)}): ${lastLine(stderrText)}`,
        ),
      )
    })
  })
  // A caller that only reads stdout must not crash the process when the tool fails first.
  done.catch(() => {})

  return {
    stdin: child.stdin ?? undefined,
    stdout: must(child.stdout, 'stdout of a child'),
    stderr,
    sideChannel: options.sideChannel ? (child.stdio[3] as Readable) : undefined,
    pid: child.pid,
    done,
    stderrTail: () => tail.toString(),
    kill: () => killGroup('SIGKILL'),
  }
}

export const toolMissing = (tool: string, cause?: unknown): MediaError =>
  new MediaError(
    { code: 'MEDIA_TOOL_MISSING', tool },
    `cannot start ${tool}: install it or configure its path`,
    { cause },
  )

function describeExit(exitCode: number | null, signal: string | null): string {
  if (signal !== null) return signal
  // A wrapper reports its child's death by signal as 128 + number.
  const number = (exitCode ?? 0) - 128
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0]
  return name === undefined ? `exit code ${exitCode}` : name
}

function lastLine(text: string): string {
  return text.split('\n').filter(Boolean).slice(-2).join(' · ').slice(0, 300) || 'no message'
}

export interface RunOptions extends ProcessOptions {
  /** stdout beyond this is an error. Default 4 MiB. */
  readonly maxStdoutBytes?: number | undefined
  /** Called with each line of stdout or of the side channel; `\r` ends a line too. */
  readonly onLine?: ((line: string) => void) | undefined
}

/** Runs a tool to its end and returns what it wrote to stdout, bounded. */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ readonly stdout: Buffer; readonly stderr: string }> {
  const maxBytes = options.maxStdoutBytes ?? 4 * 1024 * 1024
  const running = startProcess(command, args, options)
  const chunks: Buffer[] = []
  let size = 0
  let overflow = false
  running.stdout.on('data', (chunk: Buffer) => {
    if (overflow) return
    size += chunk.length
    if (size > maxBytes) {
      overflow = true
      running.kill()
      return
    }
    chunks.push(chunk)
  })
  if (options.onLine !== undefined) {
    readLines(running.sideChannel ?? running.stdout, options.onLine)
  }
  try {
    await running.done
  } catch (error) {
    if (!overflow) throw error
    const tool = options.tool ?? command
    throw new MediaError(
      { code: 'MEDIA_OUTPUT_TOO_LARGE', tool, maxBytes },
      `${tool} wrote more than ${maxBytes} bytes`,
      { cause: error },
    )
  }
  return { stdout: Buffer.concat(chunks), stderr: running.stderrTail() }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split(/[\r\n]+/)
    rest = (parts.pop() ?? '').slice(-4096)
    for (const line of parts) if (line !== '') onLine(line)
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
