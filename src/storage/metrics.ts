import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Metrics of stores and retention. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    retries: new Counter({
      name: 'subnet_storage_retries_total',
      help: 'Calls to the store that failed and were tried again.',
      labelNames: ['operation'],
      registers,
    }),
    deleted: new Counter({
      name: 'subnet_storage_deleted_total',
      help: 'Objects deleted, by why: due, or orphan of a lost schedule.',
      labelNames: ['why'],
      registers,
    }),
    deleteFailures: new Counter({
      name: 'subnet_storage_delete_failures_total',
      help: 'Deletions that failed and are tried again at the next sweep.',
      registers,
    }),
    overdue: new Gauge({
      name: 'subnet_storage_overdue_objects',
      help: 'Objects past their time at the last sweep.',
      registers,
    }),
    // Deletion is promised within 30 s of due; the sweep comes every few seconds.
    lateness: new Histogram({
      name: 'subnet_storage_delete_lateness_seconds',
      help: 'Time from due to deleted.',
      buckets: [1, 5, 10, 20, 30, 60, 300, 3600],
      registers,
    }),
  }
}

export type StorageMetrics = ReturnType<typeof createMetrics>
