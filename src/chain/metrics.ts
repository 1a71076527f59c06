import { Counter, Gauge, type Registry } from '../lib/metrics.js'

export type ChainMetrics = ReturnType<typeof createMetrics>

/** Metrics of the chain client. Labels are closed sets; an endpoint is named in the log only. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    head: new Gauge({
      name: 'subnet_chain_head_blocks',
      help: 'Number of the newest block seen',
      registers,
    }),
    connected: new Gauge({
      name: 'subnet_chain_connected_ratio',
      help: '1 while an endpoint answers, else 0',
      registers,
    }),
    endpointsLeft: new Counter({
      name: 'subnet_chain_endpoints_left_total',
      help: 'Endpoints left, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
    extrinsics: new Counter({
      name: 'subnet_chain_extrinsics_total',
      help: 'Extrinsics by kind and outcome',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    weightsSkipped: new Counter({
      name: 'subnet_chain_weights_skipped_total',
      help: 'Weight vectors not sent because nothing in them was positive',
      registers,
    }),
  }
}
