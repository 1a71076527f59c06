import { MetricsError, ModelStore, selfCheckGpu } from '../../scoring/metrics/index.js'
import { type Check, type CheckResult, fail, ok } from './check.js'

/** The shipped models are those of the manifest; with --gpu, CPU and GPU agree about a built-in clip. */
export const modelsCheck: Check = {
  name: 'models',
  async run({ config, gpu }) {
    const store = await ModelStore.open()
    const altered: CheckResult[] = []
    for (const { name } of store.entries) {
      try {
        await store.read(name)
      } catch (error) {
        if (!(error instanceof MetricsError)) throw error
        altered.push(fail(error.message, 'install the package again'))
      }
    }
    const files =
      altered.length > 0 ? altered : [ok(`${store.entries.length} models, hashes as pinned`)]
    if (!gpu) return files
    try {
      const device = config.device.startsWith('cuda') ? config.device : 'cuda'
      const result = await selfCheckGpu({ device })
      const difference = result.maxDifference.toExponential(1)
      return [...files, ok(`${result.device} scores as the CPU does, within ${difference} points`)]
    } catch (error) {
      if (!(error instanceof MetricsError)) throw error
      const fix =
        error.code === 'METRICS_SELF_CHECK_FAILED'
          ? 'use --device cpu and check the driver'
          : 'install the CUDA provider (docs/models.md) or use --device cpu'
      return [...files, fail(`${error.code}: ${error.message}`, fix)]
    }
  },
}
