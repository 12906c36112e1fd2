import { StoreError } from './errors.ts'

const name = /^[\p{L}\p{N}][\p{L}\p{N}._@+:-]*$/u

/** @throws StoreError `OPEN_FAILED` */
export function checkCluster(cluster: string): void {
  if (!name.test(cluster)) throw new StoreError('OPEN_FAILED', `opening the store: "${cluster}" is no name for a cluster`)
}

/**
 * A statement of the schema for a cluster: made on every replica, tables replicated under the path that the server's
 * macros give, and the window for insert tokens that replicated tables have. Of one shard: each replica has every row.
 * Statements are the same files that a single server gets; one that is neither of these is refused, so that a new kind of
 * statement is thought about.
 *
 * @throws StoreError `MIGRATION_FAILED`
 */
export function onCluster(statement: string, cluster: string): string {
  const head = /^(CREATE (?:TABLE|VIEW|DATABASE) IF NOT EXISTS|ALTER TABLE) (\w+)/.exec(statement)
  if (head === null) {
    const [line] = statement.split('\n')
    throw new StoreError('MIGRATION_FAILED', `making the schema on cluster ${cluster}: what to do with "${line}" is not known`)
  }
  const placed = `${head[0]} ON CLUSTER \`${cluster}\`${statement.slice(head[0].length)}`
  return placed
    .replace(/\bENGINE = MergeTree\b/, "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')")
    .replace(
      /\bnon_replicated_deduplication_window = (\d+)/,
      // Tokens are kept by number and by age, whichever ends first; a week of age leaves it to the number.
      'replicated_deduplication_window = $1, replicated_deduplication_window_seconds = 604800',
    )
}

/**
 * On a cluster a row counts as stored when most replicas have it, and is asked for where all such rows are. Writes of
 * different processes to one table take turns (code 286 tells the second, who tries again): only then is the question
 * whether a row is there already answered rightly by every replica.
 */
export const quorumSettings = "insert_quorum = 'auto', insert_quorum_parallel = 0"
export const consistentRead = 'select_sequential_consistency = 1'
