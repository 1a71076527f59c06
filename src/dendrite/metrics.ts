import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Metrics of outgoing calls. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    calls: new Counter({
      name: 'subnet_dendrite_calls_total',
      help: 'Calls to other neurons by outcome: ok, or the kind of failure.',
      labelNames: ['synapse', 'protocol', 'outcome'],
      registers,
    }),
    seconds: new Histogram({
      name: 'subnet_dendrite_call_seconds',
      help: 'Time of a call from start to outcome.',
      labelNames: ['synapse'],
      // From a ping in one rack to a video task of three minutes.
      buckets: [0.01, 0.05, 0.2, 1, 5, 12, 40, 120, 300],
      registers,
    }),
    inFlight: new Gauge({
      name: 'subnet_dendrite_in_flight_calls',
      help: 'Calls waiting for their answer.',
      registers,
    }),
  }
}

export type DendriteMetrics = ReturnType<typeof createMetrics>
