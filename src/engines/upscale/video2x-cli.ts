import type { UpscaleProfile } from './profiles.js'

/** Options that differ between releases of Video2X, as its --help lists them. */
export interface Video2xFeatures {
  readonly version: string | undefined
  /** Long options of this build, without the dashes. */
  readonly options: ReadonlySet<string>
}

export function readFeatures(text: string): Video2xFeatures {
  return {
    version: /(\d+\.\d+\.\d+)/.exec(text)?.[1],
    options: new Set([...text.matchAll(/--([a-z][a-z0-9-]+)/g)].map((match) => match[1] ?? '')),
  }
}

export interface Video2xJob {
  readonly source: string
  readonly output: string
  readonly scale: 2 | 4
  readonly profile: UpscaleProfile
  readonly device: number | undefined
  readonly model: string | undefined
}

/**
 * Command line of one job (Video2X 6.x: `-i in -o out -p realesrgan -s 2 -c codec -e key=value`).
 * Sound and subtitles are not copied: we put the original sound back ourselves. Time stamps are kept
 * where a build would compute them anew.
 */
export function video2xArgs(features: Video2xFeatures, job: Video2xJob): string[] {
  const { profile } = job
  const wanted = [
    'no-copy-streams',
    'no-copy-audio-streams',
    'no-copy-subtitle-streams',
    'no-recalculate-pts',
  ]
  return [
    ...['-i', job.source, '-o', job.output, '-p', 'realesrgan', '-s', `${job.scale}`],
    ...(job.model === undefined ? [] : ['--realesrgan-model', job.model]),
    ...(job.device === undefined ? [] : ['-d', `${job.device}`]),
    ...wanted.filter((name) => features.options.has(name)).map((name) => `--${name}`),
    ...['-c', profile.encoder, '--pix-fmt', 'yuv420p'],
    ...Object.entries(profile.settings).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
  ]
}

/**
 * Fraction done from a progress line, `frame=12/240 (5.00%); fps=…; elapsed=…; remaining=…`, which
 * Video2X rewrites in place with `\r` and `ESC [K`; undefined for any other line.
 */
export function parseProgress(line: string): number | undefined {
  const match = /frame=(\d+)\/(\d+)/.exec(line)
  const [done, all] = [Number(match?.[1]), Number(match?.[2])]
  return all > 0 ? Math.min(1, done / all) : undefined
}
