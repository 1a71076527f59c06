import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Numbers of the scorer. */
export interface ScoringMetrics {
  /** Requests ended, by task and outcome: `done`, `refused`, or the code of what went wrong. */
  readonly requests: Counter<'task' | 'outcome'>
  readonly seconds: Histogram<'task'>
  /** Results judged, by task and the first gate that closed; `none` where all passed. */
  readonly results: Counter<'task' | 'gate'>
  readonly active: Gauge
  readonly waiting: Gauge
}

export function createMetrics(registry: Registry): ScoringMetrics {
  const registers = [registry]
  return {
    requests: new Counter({
      name: 'subnet_scoring_requests_total',
      help: 'Requests ended, by task and outcome',
      labelNames: ['task', 'outcome'],
      registers,
    }),
    seconds: new Histogram({
      name: 'subnet_scoring_request_seconds',
      help: 'Time from the start of a request to its answer, waiting not counted',
      labelNames: ['task'],
      // A 5 s clip at 480p takes seconds, ten results at 1080p on two cores take minutes.
      buckets: [1, 2, 5, 10, 30, 60, 120, 300, 600],
      registers,
    }),
    results: new Counter({
      name: 'subnet_scoring_results_total',
      help: 'Results judged, by task and the first gate that closed',
      labelNames: ['task', 'gate'],
      registers,
    }),
    active: new Gauge({
      name: 'subnet_scoring_active_count',
      help: 'Requests being judged',
      registers,
    }),
    waiting: new Gauge({
      name: 'subnet_scoring_waiting_count',
      help: 'Requests that wait for a place',
      registers,
    }),
  }
}
