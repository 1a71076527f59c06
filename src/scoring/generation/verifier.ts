import { createHash } from 'node:crypto'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { exactJson } from '../../lib/exact-json.js'
import type { GuardedFetcher } from '../../lib/http/index.js'
import { type ComfyRunner, renderWorkflow, type Workflow } from '../../media/comfyui/index.js'
import type { MediaError, MediaTools } from '../../media/index.js'
import {
  entryName,
  type FileFacts,
  factsOf,
  isPackage,
  type OutputFile,
  readPackage,
} from '../../media/package/index.js'
import { isOurFault } from '../blame.js'
import { ScoringError } from '../errors.js'
import { TOOL } from '../judge/record.js'
import { cosine, type Embedder, type Embedding } from '../metrics/embedding/index.js'
import { MetricsError } from '../metrics/index.js'
import type { GateOutcome, ScoreRecord } from '../types.js'
import { type Calibration, thresholdFor } from './calibration.js'
import { generationGate } from './gates.js'
import { type ComparedFile, countGate, GENERATION_FORMULA, judgeGeneration } from './verdict.js'

export interface GenerationVerifierModules {
  /** The validator's own servers. */
  readonly runner: ComfyRunner
  /** For URLs inside workflows. */
  readonly fetcher: GuardedFetcher
  readonly embedder: Embedder
  readonly tools?: MediaTools
  readonly calibration?: Calibration
  /** Name of a server's graphics card, where known. */
  readonly deviceOf?: (server: string) => string | undefined
}

interface Known {
  readonly file: OutputFile
  readonly facts: FileFacts
  readonly kind: ComparedFile['kind']
  readonly embedding: Embedding | undefined
}

/** What the validator itself made of a workflow. */
export interface Rerun {
  readonly workflowSha256: string
  readonly files: readonly Known[]
  readonly gpu: string | undefined
  readonly renderSeconds: number
  /** Of the longest clip; 1 where there are only pictures. */
  readonly frames: number
}

/** A miner's result on disk. */
export interface GeneratedResult {
  readonly path: string
  readonly sha256: string
  /** From the request until the result was there, as the validator saw it. */
  readonly seconds: number | undefined
}

/**
 * Judges generated results by running the workflow again and comparing what came out: the same files
 * from the same nodes, of the same shape, showing (and sounding) the same. What fails on this side is
 * thrown and must void the score; only what a result itself causes lowers it.
 */
export class GenerationVerifier {
  readonly #modules: GenerationVerifierModules

  constructor(modules: GenerationVerifierModules) {
    this.#modules = modules
  }

  /** Runs a workflow here. Everything it throws is this side's failure. */
  async rerun(workflow: Workflow, dir: string, signal: AbortSignal): Promise<Rerun> {
    const { deviceOf } = this.#modules
    const { run, files } = await renderWorkflow(workflow, this.#modules, { dir, signal })
    if (run.reduced !== undefined) {
      throw new ScoringError(
        { code: 'SCORING_RERUN_REDUCED' },
        'no server had the memory for the workflow as it is: less was made, which no result can be compared with',
      )
    }
    const known: Known[] = []
    for (const file of files) known.push(await this.#look(file, signal))
    const frames = known.map(({ facts }) => facts.frames ?? 1)
    return {
      workflowSha256: sha256Of(exactJson(workflow)),
      files: known,
      gpu: deviceOf?.(run.server),
      renderSeconds: run.durationMs / 1_000,
      frames: Math.max(1, ...frames),
    }
  }

  /** Scores one result; `dir` is for its files, and exists. */
  async judge(
    rerun: Rerun,
    result: GeneratedResult,
    dir: string,
    signal: AbortSignal,
  ): Promise<ScoreRecord> {
    const { embedder, calibration = [] } = this.#modules
    const gates: GateOutcome[] = []
    const opened = await this.#open(rerun, result, dir, gates, signal)
    const threshold = thresholdFor(calibration, {
      embedder: embedder.name,
      validatorGpu: rerun.gpu,
      minerGpu: opened.gpu,
    })
    const files = await this.#compare(rerun, opened.files, gates, signal)
    const verdict = judgeGeneration({
      gates,
      files,
      minCosine: threshold.minCosine,
      seconds: result.seconds,
      frames: rerun.frames,
    })
    return {
      version: 1,
      task: 'generation',
      score: verdict.score,
      reason: verdict.reason,
      inputs: {
        reference: {
          sha256: sha256Of(rerun.files.map(({ facts }) => facts.sha256).join('\n')),
          sizeBytes: rerun.files.reduce((sum, { file }) => sum + file.sizeBytes, 0),
        },
        result: { sha256: result.sha256, sizeBytes: (await stat(result.path)).size },
        parameters: {
          workflowSha256: rerun.workflowSha256,
          frames: rerun.frames,
          seconds: result.seconds,
          rerunSeconds: rerun.renderSeconds,
          embedder: embedder.name,
          hears: embedder.hears,
          gpus: [rerun.gpu, opened.gpu],
          threshold,
        },
      },
      gates,
      metrics: {
        quality: verdict.quality,
        speed: verdict.speed,
        secondsPerFrame: verdict.secondsPerFrame,
        files,
        fileScores: verdict.fileScores,
      },
      models: embedder.models,
      formula: GENERATION_FORMULA,
      device: rerun.files.find(({ embedding }) => embedding !== undefined)?.embedding?.device,
      tool: TOOL,
    }
  }

  /** The result's files in the places of the rerun's; none when a gate failed. */
  async #open(
    rerun: Rerun,
    { path }: GeneratedResult,
    dir: string,
    gates: GateOutcome[],
    signal: AbortSignal,
  ): Promise<{ readonly files: readonly OutputFile[]; readonly gpu: string | undefined }> {
    const nothing = { files: [], gpu: undefined }
    const [only] = rerun.files
    if (!(await isPackage(path))) {
      const single = rerun.files.length === 1 && only !== undefined
      const what = single ? 'a single file' : `one file where the rerun has ${rerun.files.length}`
      gates.push(generationGate('package', single, what))
      if (!single) return nothing
      const sizeBytes = (await stat(path)).size
      return { files: [{ ...only.file, path, sizeBytes }], gpu: undefined }
    }
    try {
      const unpacked = join(dir, 'unpacked')
      await mkdir(unpacked)
      const { files, metadata } = await readPackage(path, unpacked, { signal })
      gates.push(generationGate('package', true, `${files.length} file(s) in a package`))
      const counted = countGate(countsOf(rerun.files.map(({ file }) => file)), countsOf(files))
      gates.push(counted)
      return { files: counted.passed ? files : [], gpu: metadata?.gpu }
    } catch (error) {
      signal.throwIfAborted()
      if (isOurFault(error)) throw error
      gates.push(generationGate('package', false, (error as MediaError).message))
      return nothing
    }
  }

  async #compare(
    rerun: Rerun,
    files: readonly OutputFile[],
    gates: GateOutcome[],
    signal: AbortSignal,
  ): Promise<ComparedFile[]> {
    const compared: ComparedFile[] = []
    const left = [...files]
    for (const known of rerun.files) {
      const index = left.findIndex((file) => listOf(file) === listOf(known.file))
      const [file] = index < 0 ? [] : left.splice(index, 1)
      if (file === undefined) break
      const outcome = await this.#compareFile(known, file, signal)
      if ('code' in outcome) {
        gates.push(outcome)
        break
      }
      compared.push(outcome)
    }
    return compared
  }

  async #compareFile(
    known: Known,
    file: OutputFile,
    signal: AbortSignal,
  ): Promise<ComparedFile | GateOutcome> {
    const name = entryName(known.file)
    const base = { name, kind: known.kind }
    const facts = await factsOf(file, { ...this.#modules.tools, signal, countDecoded: true })
    if (facts.sha256 === known.facts.sha256) {
      const heard = known.facts.audioCodec === undefined ? {} : { audioCosine: 1 }
      return { ...base, videoCosine: 1, ...heard }
    }
    if (known.kind === 'other') return base
    const failed = differs(known.facts, facts)
    if (failed !== undefined) return failed
    if (known.embedding === undefined) return base
    let embedding: Embedding
    try {
      embedding = await this.#modules.embedder.embed(file.path, { signal })
    } catch (error) {
      signal.throwIfAborted()
      const theirs = error instanceof MetricsError && error.code === 'METRICS_NO_FRAMES'
      if (!theirs && isOurFault(error)) throw error
      return generationGate('readable', false, `${name} does not decode`)
    }
    const { video, audio } = known.embedding
    return {
      ...base,
      videoCosine: cosine(video, embedding.video),
      ...(audio === undefined
        ? {}
        : { audioCosine: embedding.audio === undefined ? 0 : cosine(audio, embedding.audio) }),
    }
  }

  async #look(file: OutputFile, signal: AbortSignal): Promise<Known> {
    const { embedder, tools } = this.#modules
    const facts = await factsOf(file, { ...tools, signal, countDecoded: true })
    const kind = kindOf(facts)
    const seen = kind === 'video' || kind === 'image'
    const embedding = seen ? await embedder.embed(file.path, { signal }) : undefined
    return { file, facts, kind, embedding }
  }
}

function kindOf(facts: FileFacts): ComparedFile['kind'] {
  if (facts.unreadable !== undefined) return 'other'
  if (facts.width === undefined) return facts.audioCodec === undefined ? 'other' : 'audio'
  return (facts.frames ?? 1) > 1 ? 'video' : 'image'
}

/** Frame rates of one workflow are equal; a hundredth covers how containers round them. */
const FPS_TOLERANCE = 0.01

function differs(rerun: FileFacts, result: FileFacts): GateOutcome | undefined {
  const name = rerun.name
  if (result.unreadable !== undefined) {
    return generationGate('readable', false, `${name} cannot be read: ${result.unreadable}`)
  }
  const shape = (facts: FileFacts) => `${facts.width}x${facts.height}, ${facts.frames} frames`
  const sameRate = Math.abs((rerun.fps ?? 0) - (result.fps ?? 0)) <= FPS_TOLERANCE
  if (rerun.width !== undefined && (shape(rerun) !== shape(result) || !sameRate)) {
    const rates = sameRate ? '' : ` at ${result.fps} fps instead of ${rerun.fps}`
    const detail = `${name} is ${shape(result)}${rates}; the rerun's is ${shape(rerun)}`
    return generationGate('shape', false, detail)
  }
  if (rerun.audioCodec !== undefined && result.audioCodec === undefined) {
    return generationGate('sound', false, `${name} has no sound`)
  }
  return undefined
}

const listOf = ({ nodeId, key }: OutputFile): string => `${nodeId} ${key}`

function countsOf(files: readonly OutputFile[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const file of files) counts.set(listOf(file), (counts.get(listOf(file)) ?? 0) + 1)
  return counts
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')
