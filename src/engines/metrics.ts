import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Numbers of the engine services. */
export interface EngineMetrics {
  /** Jobs ended, by service and outcome: `done`, `refused`, or the code of what went wrong. */
  readonly jobs: Counter<'service' | 'outcome'>
  readonly seconds: Histogram<'service'>
  readonly active: Gauge<'service'>
  readonly waiting: Gauge<'service'>
}

export function createMetrics(registry: Registry): EngineMetrics {
  const registers = [registry]
  return {
    jobs: new Counter({
      name: 'subnet_engines_jobs_total',
      help: 'Jobs ended, by outcome',
      labelNames: ['service', 'outcome'],
      registers,
    }),
    seconds: new Histogram({
      name: 'subnet_engines_job_seconds',
      help: 'Time from the start of a job to its end, waiting not counted',
      labelNames: ['service'],
      // Clips of seconds take seconds to minutes; the reference client gives up after 1200.
      buckets: [1, 3, 10, 30, 60, 120, 300, 600, 1200],
      registers,
    }),
    active: new Gauge({
      name: 'subnet_engines_active_count',
      help: 'Jobs under way',
      labelNames: ['service'],
      registers,
    }),
    waiting: new Gauge({
      name: 'subnet_engines_waiting_count',
      help: 'Jobs that wait for a place',
      labelNames: ['service'],
      registers,
    }),
  }
}
