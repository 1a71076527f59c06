import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** From an echo (under a millisecond) to a handler that waits for a GPU. */
const SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
]

export interface AxonGauges {
  readonly active: () => number
  readonly waiting: () => number
  readonly nonces: () => number
}

export interface AxonMetrics {
  /** One request ended: `code` is `ok` or why it was refused. */
  ended(synapse: string, code: string, seconds: number): void
  connectionRefused(): void
}

/** Counters of the axon. Labels are closed sets: names of served synapses, codes of refusals. */
export function createMetrics(registry: Registry | undefined, gauges: AxonGauges): AxonMetrics {
  if (registry === undefined) return { ended: () => {}, connectionRefused: () => {} }
  const registers = [registry]
  const requests = new Counter({
    name: 'subnet_axon_requests_total',
    help: 'Requests ended, by synapse and outcome.',
    labelNames: ['synapse', 'code'],
    registers,
  })
  const seconds = new Histogram({
    name: 'subnet_axon_request_seconds',
    help: 'Time from the head of a served request to the end of its handler.',
    labelNames: ['synapse'],
    buckets: SECONDS,
    registers,
  })
  const connections = new Counter({
    name: 'subnet_axon_connections_refused_total',
    help: 'Sockets closed for being too many.',
    registers,
  })
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('subnet_axon_handlers_active', 'Handlers running.', gauges.active)
  gauge('subnet_axon_requests_waiting', 'Requests waiting for a handler.', gauges.waiting)
  gauge('subnet_axon_nonces_held', 'Nonces remembered in this process.', gauges.nonces)
  return {
    ended: (synapse, code, took) => {
      requests.labels(synapse, code).inc()
      if (code === 'ok') seconds.labels(synapse).observe(took)
    },
    connectionRefused: () => connections.inc(),
  }
}
