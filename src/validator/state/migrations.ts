import { type Kysely, type Migration, type MigrationProvider, PostgresAdapter, sql } from 'kysely'

/** What differs between the two databases, said once. */
function identity(db: Kysely<unknown>) {
  const postgres = db.getExecutor().adapter instanceof PostgresAdapter
  return postgres ? sql`bigserial primary key` : sql`integer primary key autoincrement`
}

const initial: Migration = {
  async up(db) {
    const id = identity(db)
    const statements = [
      sql`create table miners (
        hotkey text not null, netuid integer not null, uid integer not null, coldkey text not null,
        registered_at bigint not null, kinds text, max_length_seconds double precision, warranted_at bigint,
        is_active integer not null, created_at bigint not null, last_active_at bigint, primary key (netuid, hotkey))`,
      sql`create table tasks (
        task_id text primary key, kind text not null, origin text not null default 'organic',
        status text not null default 'pending', params text not null, miner_hotkey text, result_url text,
        metadata text, score double precision, error_code text, retry_count integer not null default 0,
        timeout_seconds double precision not null default 600, client text, created_at bigint not null default 0,
        last_sent_at bigint, completed_at bigint, completion_time bigint, file_size bigint)`,
      sql`create index tasks_by_status on tasks (status, created_at)`,
      sql`create table task_history (
        id ${id}, task_id text not null, status text not null, at bigint not null, detail text)`,
      sql`create index task_history_by_task on task_history (task_id)`,
      sql`create table rounds (
        round_id text primary key, netuid integer not null, kind text not null, block bigint not null,
        block_hash text not null, status text not null, plan text not null, started_at bigint not null, ended_at bigint)`,
      sql`create table scores (
        id ${id}, round_id text not null references rounds (round_id), hotkey text not null, uid integer not null,
        kind text not null, outcome text not null, counts integer not null, score double precision not null,
        quality double precision, rate double precision, latency_ms double precision, content_seconds double precision, reason text not null, result_url text, record text,
        created_at bigint not null, unique (round_id, hotkey))`,
      sql`create index scores_by_hotkey on scores (hotkey, kind, id)`,
      sql`create table weight_sets (
        id text primary key, hotkey text not null, netuid integer not null, mechanism integer not null,
        epoch bigint not null, block bigint not null, state text not null, entry text not null)`,
      sql`create index weight_sets_by_block on weight_sets (hotkey, netuid, mechanism, block)`,
      sql`create table emission_snapshots (
        uid integer not null, epoch bigint not null, hotkey text not null, emission double precision not null,
        alpha_stake double precision not null, created_at bigint not null, unique (uid, epoch))`,
      sql`create table leases (name text primary key, holder text not null, expires_at bigint not null)`,
    ]
    for (const statement of statements) await statement.execute(db)
  },
}

const reports: Migration = {
  async up(db) {
    const statements = [
      // Nothing had written to it yet.
      sql`drop table emission_snapshots`,
      sql`create table emission_snapshots (
        netuid integer not null, epoch bigint not null, uid integer not null, hotkey text not null,
        emission double precision not null, alpha_stake double precision not null, created_at bigint not null,
        primary key (netuid, epoch, uid))`,
      sql`create table validator_reports (
        netuid integer not null, validator text not null, hotkey text not null, kind text not null,
        at bigint not null, confidence double precision not null, status text not null,
        primary key (netuid, validator, hotkey, kind))`,
    ]
    for (const statement of statements) await statement.execute(db)
  },
}

const priority: Migration = {
  async up(db) {
    await sql`alter table tasks add column priority text not null default 'normal'`.execute(db)
  },
}

/** In order of their names; never edited once released. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-reports': reports,
  '0003-priority': priority,
}

export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({ ...MIGRATIONS }),
}
