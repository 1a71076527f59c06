import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, VideoResult } from '../engines/index.js'
import type { Clock } from '../lib/clock.js'
import { tempFolder } from '../lib/temp-folder.js'
import { fileUrl, type MediaTools, runFfmpeg } from '../media/index.js'

/** What a number of jobs at once achieved. */
export interface Measured {
  readonly slots: number
  readonly jobsPerMinute: number
}

/** One more slot must bring this much, else jobs only get slower. */
const WORTH = 1.1

/** The most slots that still paid: each step up must raise the output by a tenth. */
export function chooseSlots(measured: readonly Measured[]): number {
  let best: Measured | undefined
  for (const step of measured) {
    if (best !== undefined && step.jobsPerMinute < best.jobsPerMinute * WORTH) break
    best = step
  }
  return best?.slots ?? 1
}

export interface BenchOptions<P> {
  readonly engine: Engine<P, VideoResult>
  readonly params: P
  readonly maxSlots: number
  readonly frames: number
  readonly tools?: MediaTools
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onMeasured?: (measured: Measured) => void
}

/**
 * Measures jobs per minute with 1, 2, 4 … jobs at once on a clip made on the spot (320x180, moving test
 * pattern), the engine warm, and stops where more at once brings nothing.
 */
export async function measureSlots<P>(options: BenchOptions<P>): Promise<Measured[]> {
  const { engine, params, maxSlots, clock, signal, onMeasured } = options
  await using dir = await tempFolder('subreel-bench-')
  const path = join(dir.path, 'clip.mp4')
  await makeClip(path, options)
  await engine.ready(signal)
  const work = async (name: string) => {
    const workDir = join(dir.path, name)
    await mkdir(workDir)
    await engine.run({ path, params }, { workDir, signal })
  }
  // The first finds out what all later ones know of the clip: it is none of those that are compared.
  await work('first')
  const most = Math.min(maxSlots, (await engine.capacity?.(signal)) ?? maxSlots)
  const measured: Measured[] = []
  for (let slots = 1; slots <= most; slots *= 2) {
    const startMs = clock.monotonic()
    await Promise.all(Array.from({ length: slots }, (_, n) => work(`${slots}-${n}`)))
    const minutes = (clock.monotonic() - startMs) / 60_000
    const step = { slots, jobsPerMinute: slots / minutes }
    measured.push(step)
    onMeasured?.(step)
    if (chooseSlots(measured) < slots) break
  }
  return measured
}

async function makeClip(
  path: string,
  { frames, tools, signal }: { frames: number; tools?: MediaTools; signal: AbortSignal },
): Promise<void> {
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25']
  const encode = ['-frames:v', String(frames), '-c:v', 'libx264', '-pix_fmt', 'yuv420p']
  await runFfmpeg([...source, ...encode, fileUrl(path)], { ...tools, signal })
}
