import { readFile } from 'node:fs/promises'
import { GuardedFetcher, type UrlRules } from '../../lib/http/index.js'
import { type OpenComfyOptions, openComfyPool } from '../../media/comfyui/index.js'
import type { MediaTools } from '../../media/index.js'
import { ScoringError } from '../errors.js'
import {
  createEfficientNetEmbedder,
  createImageBindEmbedder,
  type Embedder,
} from '../metrics/embedding/index.js'
import { type DeviceChoice, MetricsError } from '../metrics/index.js'
import { type Calibration, calibrationSchema } from './calibration.js'
import { GenerationVerifier } from './verifier.js'

export interface GenerationVerifierOptions extends OpenComfyOptions {
  readonly device: DeviceChoice
  /** Exported models of the operator's own; ImageBind is used when it is among them. */
  readonly modelsFolder?: string | undefined
  /** JSON file of a calibration table. */
  readonly calibrationFile?: string | undefined
  readonly urls: UrlRules
  readonly tools: MediaTools
}

export interface OpenVerifier {
  readonly verifier: GenerationVerifier
  close(): Promise<void>
}

/** A verifier over the validator's own ComfyUI servers. @throws ScoringError, MetricsError */
export async function createGenerationVerifier(
  options: GenerationVerifierOptions,
): Promise<OpenVerifier> {
  const { tools, log, urls } = options
  const calibration = await readCalibration(options.calibrationFile)
  const embedder = await openEmbedder(options)
  log.info(
    { event: 'embedder.chosen', name: embedder.name, hears: embedder.hears },
    'chose how generated videos are compared',
  )
  const runner = await openComfyPool(options)
  const deviceOf = (server: string) => runner.deviceOf(server)
  const { http: allowHttp, privateAddresses: allowPrivate } = urls
  const fetcher = new GuardedFetcher({ allowHttp, allowPrivate })
  return {
    verifier: new GenerationVerifier({ runner, fetcher, embedder, tools, calibration, deviceOf }),
    close: async () => {
      await runner.close()
      await embedder.close()
    },
  }
}

/** How results are compared here. @throws MetricsError */
export async function openEmbedder({
  device,
  tools,
  modelsFolder,
}: Pick<GenerationVerifierOptions, 'device' | 'tools' | 'modelsFolder'>): Promise<Embedder> {
  if (modelsFolder !== undefined) {
    try {
      return await createImageBindEmbedder({ ...tools, device, modelsFolder })
    } catch (error) {
      const absent = error instanceof MetricsError && error.code === 'METRICS_MODEL_MISSING'
      if (!absent) throw error
    }
  }
  return createEfficientNetEmbedder({ ...tools, device })
}

/** @throws ScoringError SCORING_CALIBRATION_INVALID */
export async function readCalibration(file: string | undefined): Promise<Calibration> {
  if (file === undefined) return []
  try {
    return calibrationSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new ScoringError(
      { code: 'SCORING_CALIBRATION_INVALID', file },
      `${file} is no table of cosines by pairs of cards`,
      { cause },
    )
  }
}
