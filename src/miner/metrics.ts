import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Metrics of the miner's own decisions. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    replies: new Counter({
      name: 'subnet_miner_replies_total',
      help: 'Answers to tasks, by kind and code: OK, PARTIAL, or the code of refusal or failure.',
      labelNames: ['kind', 'code'],
      registers,
    }),
    videos: new Counter({
      name: 'subnet_miner_videos_total',
      help: 'Videos worked on, by kind and code: OK or the code of the failure.',
      labelNames: ['kind', 'code'],
      registers,
    }),
    // Fetching takes seconds, engines up to the twenty minutes of an organic task.
    stage: new Histogram({
      name: 'subnet_miner_stage_seconds',
      help: 'Length of the stages of a video: fetch, engine, deliver, service.',
      labelNames: ['kind', 'stage'],
      buckets: [0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600, 1200],
      registers,
    }),
    free: new Gauge({
      name: 'subnet_miner_disk_free_bytes',
      help: 'Free space where working files lie.',
      registers,
    }),
    temp: new Gauge({
      name: 'subnet_miner_temp_bytes',
      help: 'Space that working files take.',
      registers,
    }),
  }
}

export type MinerMetrics = ReturnType<typeof createMetrics>
