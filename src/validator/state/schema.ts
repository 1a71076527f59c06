import type { Generated } from 'kysely'

/** Times are Unix milliseconds; amounts of data bytes; scores 0–1; JSON columns hold text. */
export interface StateSchema {
  miners: MinersTable
  tasks: TasksTable
  task_history: TaskHistoryTable
  rounds: RoundsTable
  scores: ScoresTable
  weight_sets: WeightSetsTable
  emission_snapshots: EmissionSnapshotsTable
  validator_reports: ValidatorReportsTable
  leases: LeasesTable
}

/** One row per hotkey that was ever seen. The uid is the one it has, or had last. */
export interface MinersTable {
  hotkey: string
  netuid: number
  uid: number
  coldkey: string
  /** Block of the registration: a new one means a fresh start. */
  registered_at: number
  /** Comma-separated kinds from the last warrant; null while the miner was silent. */
  kinds: string | null
  /** Longest clip in seconds the miner accepts, from the last length check. */
  max_length_seconds: number | null
  warranted_at: number | null
  is_active: number
  created_at: number
  last_active_at: number | null
}

/** One piece of work for one user or one round; rows inserted by hand are dispatched as organic tasks. */
export interface TasksTable {
  task_id: string
  kind: string
  origin: Generated<string>
  status: Generated<string>
  /** JSON: what was asked. */
  params: string
  /** `urgent`, `high`, `normal` or `low`; any other word counts as normal. */
  priority: Generated<string>
  miner_hotkey: string | null
  result_url: string | null
  /** JSON: what was found out about the result. */
  metadata: string | null
  score: number | null
  error_code: string | null
  retry_count: Generated<number>
  timeout_seconds: Generated<number>
  client: string | null
  created_at: Generated<number>
  last_sent_at: number | null
  completed_at: number | null
  /** Milliseconds from sending to completion. */
  completion_time: number | null
  file_size: number | null
}

export interface TaskHistoryTable {
  id: Generated<number>
  task_id: string
  status: string
  at: number
  detail: string | null
}

export interface RoundsTable {
  round_id: string
  netuid: number
  kind: string
  block: number
  block_hash: string
  status: string
  /** JSON: clip, cut, parameters and order, enough to replay the round. */
  plan: string
  started_at: number
  ended_at: number | null
}

/** One judged (or failed) answer of one miner. Counts once its round is committed. */
export interface ScoresTable {
  id: Generated<number>
  round_id: string
  hotkey: string
  uid: number
  kind: string
  /** `scored`, or why not: see Outcome in outcomes.ts. */
  outcome: string
  /** 1 when the row counts for the miner; 0 when the fault was ours. */
  counts: number
  score: number
  quality: number | null
  /** Compression: bytes out / bytes in. */
  rate: number | null
  /** Milliseconds from the request to the reply. */
  latency_ms: number | null
  content_seconds: number | null
  reason: string
  /** Where the answer could be fetched; it expires. */
  result_url: string | null
  /** JSON ScoreRecord, when the answer was judged. */
  record: string | null
  created_at: number
}

export interface WeightSetsTable {
  /** `hotkey/netuid/mechanism/block`. */
  id: string
  hotkey: string
  netuid: number
  mechanism: number
  epoch: number
  block: number
  state: string
  /** JSON WeightEntry. */
  entry: string
}

/** What validators last measured of a miner, ourselves among them: one row for each of both and kind of work. */
export interface ValidatorReportsTable {
  netuid: number
  validator: string
  /** Of the miner. */
  hotkey: string
  kind: string
  /** When it was measured, by the validator's clock. */
  at: number
  /** 0.1–1, computed here from the fields and their age; never a validator's own claim. */
  confidence: number
  /** JSON: the measured fields. */
  status: string
}

/** Alpha that each neuron earned in an epoch, and held then. */
export interface EmissionSnapshotsTable {
  netuid: number
  epoch: number
  uid: number
  hotkey: string
  emission: number
  alpha_stake: number
  created_at: number
}

export interface LeasesTable {
  name: string
  holder: string
  expires_at: number
}
