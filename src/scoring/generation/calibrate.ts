import { must } from '../../lib/errors.js'
import { GuardedFetcher } from '../../lib/http/index.js'
import { Resources } from '../../lib/resources.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { openComfyPool, type Workflow } from '../../media/comfyui/index.js'
import { cosine } from '../metrics/embedding/index.js'
import type { Calibration } from './calibration.js'
import { type GenerationVerifierOptions, openEmbedder } from './create.js'
import { GenerationVerifier, type Rerun } from './verifier.js'

/**
 * Runs each workflow on every server and compares what came out: what honest results on these graphics
 * cards look like to the embedder. One row for each two servers, named by their cards.
 * @throws ComfyError, ScoringError, MetricsError
 */
export async function measureCalibration(
  workflows: readonly Workflow[],
  options: Omit<GenerationVerifierOptions, 'calibrationFile'>,
  signal: AbortSignal,
): Promise<Calibration> {
  const { tools, servers, tokens, urls } = options
  const fetcher = new GuardedFetcher({ allowHttp: urls.http, allowPrivate: urls.privateAddresses })
  await using opened = new Resources()
  const embedder = await openEmbedder(options)
  opened.defer('embedder', () => embedder.close())
  const verifiers: GenerationVerifier[] = []
  for (const [i, server] of servers.entries()) {
    const token = tokens[i]
    const own = { servers: [server], tokens: token === undefined ? [] : [token] }
    const runner = await openComfyPool({ ...options, ...own })
    opened.use('pool', runner)
    const deviceOf = (name: string) => runner.deviceOf(name)
    verifiers.push(new GenerationVerifier({ runner, fetcher, embedder, tools, deviceOf }))
  }
  const rows = new Map<string, Calibration[number]>()
  for (const workflow of workflows) {
    const reruns = await Promise.all(
      verifiers.map(async (verifier) => {
        await using dir = await tempFolder('subreel-calibrate-')
        return await verifier.rerun(workflow, dir.path, signal)
      }),
    )
    for (const [i, one] of reruns.entries()) {
      for (const [j, other] of reruns.entries()) {
        if (i >= j) continue
        const gpus: [string, string] = [one.gpu ?? 'unknown', other.gpu ?? 'unknown']
        const row = rows.get(`${i} ${j}`) ?? { embedder: embedder.name, gpus, cosines: [] }
        row.cosines.push(...cosinesOf(one, other))
        rows.set(`${i} ${j}`, row)
      }
    }
  }
  return [...rows.values()]
}

/** Of the pictures: files without any say nothing of a graphics card. */
function cosinesOf(one: Rerun, other: Rerun): number[] {
  return one.files.flatMap(({ embedding }, i) => {
    const { embedding: counterpart } = must(other.files[i], 'the same file of the other server')
    if (embedding === undefined || counterpart === undefined) return []
    return [cosine(embedding.video, counterpart.video)]
  })
}
