import { dirname } from 'node:path'
import { MediaError } from './errors.js'
import { GLOBAL_FLAGS } from './hostile.js'
import { type RunningProcess, runProcess, startProcess } from './process.js'
import { confine, type SandboxMode } from './sandbox.js'

const GIB = 1024 ** 3

/** Which tools run and how they are confined. Shared by all functions of this folder. */
export interface MediaTools {
  /** Default `ffmpeg` from the search path. A build with libvmaf may be given here. */
  readonly ffmpegPath?: string | undefined
  /** Default `ffprobe` from the search path. */
  readonly ffprobePath?: string | undefined
  /** Default `auto`. */
  readonly sandbox?: SandboxMode | undefined
}

export interface MediaCallOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
  /** Wall-clock limit in milliseconds; the process group is killed then. */
  readonly timeoutMs?: number | undefined
}

export interface FfmpegOptions extends MediaCallOptions {
  /** Called while ffmpeg works. `frame` counts encoded frames; `outTimeSeconds` is the position in the output. */
  readonly onProgress?: ((progress: FfmpegProgress) => void) | undefined
  /** Files to read that no `-i file:` names (fonts, filter inputs). */
  readonly reads?: readonly string[] | undefined
  /** Folders to write into that no `file:` output names (filter logs, two-pass files). */
  readonly writes?: readonly string[] | undefined
  /** Address space limit in bytes. Default 16 GiB: threads reserve far more than they use. */
  readonly maxMemoryBytes?: number | undefined
  /** Largest output file in bytes. Default 16 GiB. */
  readonly maxFileBytes?: number | undefined
  readonly maxStdoutBytes?: number | undefined
  /** Open stdin for raw frames (`-i pipe:0`). */
  readonly stdin?: boolean | undefined
}

export interface FfmpegProgress {
  readonly frame: number
  readonly outTimeSeconds: number
  readonly speed: number | undefined
  readonly finished: boolean
}

/** Whole command line of one ffmpeg run. `args` names every file as `file:/absolute/path`. */
async function commandLine(args: readonly string[], options: FfmpegOptions) {
  const named = namedFiles(args)
  const flags = [
    '-hide_banner',
    '-nostdin',
    '-nostats',
    '-loglevel',
    'error',
    '-y',
    ...GLOBAL_FLAGS,
    ...(options.onProgress === undefined ? [] : ['-progress', 'pipe:3', '-stats_period', '0.2']),
  ]
  return confine(options.ffmpegPath ?? 'ffmpeg', [...flags, ...args], {
    mode: options.sandbox ?? 'auto',
    reads: [...named.reads, ...(options.reads ?? [])],
    writes: [...named.writes, ...(options.writes ?? [])],
    maxMemoryBytes: options.maxMemoryBytes ?? 16 * GIB,
    maxFileBytes: options.maxFileBytes ?? 16 * GIB,
    timeoutMs: options.timeoutMs,
  })
}

/** Files behind `-i file:` are read; folders of other `file:` arguments are written into. Pure. */
export function namedFiles(args: readonly string[]): {
  readonly reads: readonly string[]
  readonly writes: readonly string[]
} {
  const reads = new Set<string>()
  const writes = new Set<string>()
  for (const [index, arg] of args.entries()) {
    if (!arg.startsWith('file:')) continue
    const path = arg.slice('file:'.length)
    if (args[index - 1] === '-i') reads.add(path)
    else writes.add(dirname(path))
  }
  return { reads: [...reads], writes: [...writes] }
}

/** Runs ffmpeg to its end. Inputs of unknown origin go in by `hostileInput`. Throws MediaError. */
export async function runFfmpeg(
  args: readonly string[],
  options: FfmpegOptions = {},
): Promise<{ readonly stdout: Buffer; readonly stderr: string }> {
  options.signal?.throwIfAborted()
  const line = await commandLine(args, options)
  return runProcess(line.command, line.args, {
    tool: 'ffmpeg',
    signal: options.signal,
    timeoutMs: options.timeoutMs,
    maxStdoutBytes: options.maxStdoutBytes,
    sideChannel: options.onProgress !== undefined,
    onLine: options.onProgress === undefined ? undefined : progressReader(options.onProgress),
  })
}

/** Starts ffmpeg and returns its pipes: raw frames out of stdout, or into stdin. */
export async function startFfmpeg(
  args: readonly string[],
  options: FfmpegOptions = {},
): Promise<RunningProcess> {
  options.signal?.throwIfAborted()
  const line = await commandLine(args, options)
  return startProcess(line.command, line.args, {
    tool: 'ffmpeg',
    signal: options.signal,
    timeoutMs: options.timeoutMs,
    stdin: options.stdin,
  })
}

function progressReader(onProgress: (progress: FfmpegProgress) => void): (line: string) => void {
  let frame = 0
  let outTimeSeconds = 0
  let speed: number | undefined
  return (line) => {
    const [key, value = ''] = line.split('=', 2).map((part) => part.trim())
    const number = Number.parseFloat(value)
    if (key === 'frame' && Number.isFinite(number)) frame = number
    if (key === 'out_time_us' && Number.isFinite(number)) outTimeSeconds = number / 1e6
    if (key === 'speed') speed = Number.isFinite(number) ? number : undefined
    if (key === 'progress') {
      onProgress({ frame, outTimeSeconds, speed, finished: value === 'end' })
    }
  }
}

/** What an ffmpeg build can do. */
export interface FfmpegCapabilities {
  readonly version: string
  readonly encoders: ReadonlySet<string>
  readonly filters: ReadonlySet<string>
}

/** Lists encoders and filters (`libvmaf` among the filters when built in). Throws MEDIA_TOOL_MISSING. */
export async function ffmpegCapabilities(
  options: MediaCallOptions = {},
): Promise<FfmpegCapabilities> {
  const ask = (flag: string) =>
    runProcess(options.ffmpegPath ?? 'ffmpeg', ['-hide_banner', '-nostdin', flag], {
      tool: 'ffmpeg',
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? 20_000,
    }).then((result) => result.stdout.toString('utf8'))
  const [version, encoders, filters] = await Promise.all([
    ask('-version'),
    ask('-encoders'),
    ask('-filters'),
  ])
  return {
    version: /^ffmpeg version (\S+)/.exec(version)?.[1] ?? 'unknown',
    // ` V....D libx264   description` after a ruled line; the legend above has `=` in second place.
    encoders: new Set([...encoders.matchAll(/^ [VAS][A-Z.]{5} (?!=)(\S+)/gm)].map(second)),
    filters: new Set([...filters.matchAll(/^ [A-Z.]{2,3} (\w+) +\S+->\S+/gm)].map(second)),
  }
}

function second(match: RegExpMatchArray): string {
  return match[1] ?? ''
}

/** Turns a failed run on a file of unknown origin into what it means for the file. */
export function unreadable(error: unknown, path: string): unknown {
  if (!(error instanceof MediaError) || error.data.code !== 'MEDIA_PROCESS_FAILED') return error
  const { stderr } = error.data
  if (/picture size .* is invalid|invalid dimensions|max_pixels|exceeds/i.test(stderr)) {
    return new MediaError(
      { code: 'MEDIA_UNREADABLE', path, detail: stderr.slice(-400) },
      'a picture in the file is too large or has impossible dimensions',
      { cause: error },
    )
  }
  return new MediaError(
    { code: 'MEDIA_UNREADABLE', path, detail: stderr.slice(-400) },
    'the file cannot be read: it is damaged, cut short or not what it claims to be',
    { cause: error },
  )
}
