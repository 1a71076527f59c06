import { Counter, Gauge, Histogram, type Registry } from '../lib/metrics.js'

/** Metrics of the validator. Labels are closed sets: never a hotkey, a URL or a task id. */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  return {
    roundSeconds: new Histogram({
      name: 'subnet_validator_round_seconds',
      help: 'Time from opening a round to its commit.',
      labelNames: ['kind'],
      // Rounds take from seconds on a local network to the longest time-out plus judging.
      buckets: [1, 5, 15, 30, 60, 120, 300, 600, 1200],
      registers,
    }),
    answerSeconds: new Histogram({
      name: 'subnet_validator_answer_seconds',
      help: 'Time from asking a miner to its answer, whatever it was.',
      labelNames: ['kind'],
      // The time-outs are 40 and 120 seconds.
      buckets: [0.1, 0.5, 1, 2, 5, 10, 20, 40, 80, 120, 240],
      registers,
    }),
    warrants: new Counter({
      name: 'subnet_validator_warrants_total',
      help: 'Miners asked which work they do: answered or silent.',
      labelNames: ['result'],
      registers,
    }),
    outcomes: new Counter({
      name: 'subnet_validator_outcomes_total',
      help: 'Answers by how they ended.',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    dutyRuns: new Counter({
      name: 'subnet_validator_duty_runs_total',
      help: 'Runs of each duty by how they ended: done, skipped, failed or missed.',
      labelNames: ['duty', 'result'],
      registers,
    }),
    dutySeconds: new Histogram({
      name: 'subnet_validator_duty_seconds',
      help: 'Length of runs that did something.',
      labelNames: ['duty'],
      // From a renewed lease to a round over a whole subnet.
      buckets: [0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1200, 3600],
      registers,
    }),
    dutyAt: new Gauge({
      name: 'subnet_validator_duty_at_seconds',
      help: 'Unix time at which each duty last ended a run without a failure.',
      labelNames: ['duty'],
      registers,
    }),
    organic: new Counter({
      name: 'subnet_validator_organic_total',
      help: "Users' tasks by how they ended.",
      labelNames: ['kind', 'result'],
      registers,
    }),
    organicSeconds: new Histogram({
      name: 'subnet_validator_organic_seconds',
      help: "Time from a user's task being added to its end.",
      labelNames: ['kind'],
      // A good miner answers within the time-outs of 40 and 120 seconds; hedging adds to them.
      buckets: [1, 2, 5, 10, 20, 40, 80, 160, 320, 640],
      registers,
    }),
    reports: new Counter({
      name: 'subnet_validator_reports_total',
      help: 'Reports asked of other validators: stored, repeated, refused or silent.',
      labelNames: ['result'],
      registers,
    }),
    agreements: new Gauge({
      name: 'subnet_validator_consensus_agreements',
      help: 'Pairs of miner and kind of work of which at least two validators have said something.',
      registers,
    }),
    conflicts: new Gauge({
      name: 'subnet_validator_consensus_conflicts',
      help: 'Those of which validators contradict each other.',
      registers,
    }),
    weightSets: new Counter({
      name: 'subnet_validator_weight_sets_total',
      help: 'Weight settings by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    weightsAge: new Gauge({
      name: 'subnet_validator_weights_age_blocks',
      help: 'Blocks since our weights last changed on chain.',
      registers,
    }),
    weightsCutoff: new Gauge({
      name: 'subnet_validator_weights_cutoff_blocks',
      help: 'Age in blocks from which the chain ignores our weights.',
      registers,
    }),
  }
}

export type ValidatorMetrics = ReturnType<typeof createMetrics>
