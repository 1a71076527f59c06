import { Counter, Gauge, Histogram, type Registry } from '../../lib/metrics.js'

/** Metrics of a pool of ComfyUI servers. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    runs: new Counter({
      name: 'subnet_media_comfy_runs_total',
      help: 'Workflows that ended, by code: OK, or the code of the failure.',
      labelNames: ['code'],
      registers,
    }),
    moves: new Counter({
      name: 'subnet_media_comfy_moves_total',
      help: 'Workflows that were taken to another server, or tried again, by the code of the failure.',
      labelNames: ['code'],
      registers,
    }),
    // From a clip of built-in nodes to the hour after which a prompt is given up.
    run: new Histogram({
      name: 'subnet_media_comfy_run_seconds',
      help: 'Time from submission to the end of workflows that ended well.',
      buckets: [0.5, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
      registers,
    }),
    // From a free server to a queue of long videos.
    wait: new Histogram({
      name: 'subnet_media_comfy_wait_seconds',
      help: 'Time that a workflow waited for a server.',
      buckets: [0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600],
      registers,
    }),
    servers: new Gauge({
      name: 'subnet_media_comfy_state_servers',
      help: 'ComfyUI servers by state: up, warming, down.',
      labelNames: ['state'],
      registers,
    }),
    waiting: new Gauge({
      name: 'subnet_media_comfy_waiting_jobs',
      help: 'Workflows that wait for a server.',
      registers,
    }),
  }
}

export type ComfyMetrics = ReturnType<typeof createMetrics>
