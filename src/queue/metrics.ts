import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Metrics of the queue's both sides. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    enqueued: new Counter({
      name: 'subnet_queue_enqueued_total',
      help: 'Jobs offered to the queue by outcome: accepted, duplicate, full, late, no-worker.',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    cancelled: new Counter({
      name: 'subnet_queue_cancelled_total',
      help: 'Jobs cancelled before their end.',
      labelNames: ['kind'],
      registers,
    }),
    unavailable: new Counter({
      name: 'subnet_queue_unavailable_total',
      help: 'Calls that failed because Redis did not answer.',
      registers,
    }),
    depth: new Gauge({
      name: 'subnet_queue_depth_jobs',
      help: 'Jobs in a lane by state: waiting, active.',
      labelNames: ['kind', 'state'],
      registers,
    }),
    restored: new Counter({
      name: 'subnet_queue_restored_total',
      help: 'Accepted jobs that Redis had forgotten after a restart, put there again.',
      labelNames: ['kind'],
      registers,
    }),
    ended: new Counter({
      name: 'subnet_queue_ended_total',
      help: 'Runs of jobs that ended here, by code: OK, or the code of the failure.',
      labelNames: ['kind', 'code'],
      registers,
    }),
    stalled: new Counter({
      name: 'subnet_queue_stalled_total',
      help: 'Jobs taken back from a worker that fell silent.',
      labelNames: ['kind'],
      registers,
    }),
    // From a clip of a second to the half hour that the longest task may take.
    run: new Histogram({
      name: 'subnet_queue_run_seconds',
      help: 'Length of runs that completed.',
      labelNames: ['kind'],
      buckets: [1, 2, 5, 10, 20, 40, 60, 120, 300, 600, 1800],
      registers,
    }),
    // A queue that admits only what it can start soon: from one round trip to a minute.
    startWait: new Histogram({
      name: 'subnet_queue_start_wait_seconds',
      help: 'Time from acceptance to start.',
      labelNames: ['kind'],
      buckets: [0.002, 0.005, 0.01, 0.05, 0.2, 1, 5, 15, 60, 300],
      registers,
    }),
  }
}

export type QueueMetrics = ReturnType<typeof createMetrics>
