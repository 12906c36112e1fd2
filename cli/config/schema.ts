import { z } from 'zod'
import { ModelConfiguration, PoolConfiguration } from '../../inference/configuration.ts'
import { longestBeatMs, Name } from '../../schemas/index.ts'
import { Access, Tls } from './access.ts'
import { AuditConfiguration } from './audit.ts'
import { LimitsConfiguration } from './limits.ts'
import { PolicyConfiguration } from './policy.ts'

const port = z.int().min(0).max(65_535)
const rate = z.strictObject({ requests: z.int().min(1), windowMs: z.int().min(100) })

/**
 * Everything that can be configured. Unknown keys are refused. Each value has a default, so an empty file is a
 * valid one; docs/configuration.md is written from the descriptions here.
 */
export const Config = z.strictObject({
  dataDir: z.string().min(1).default('./.cordon').describe('where the log, the store, secrets and spools live'),
  instance: Name.nullable().default(null).describe("this process's name in `cordon status`; null is the host's name and the process id"),
  secretsFile: z
    .string()
    .nullable()
    .default(null)
    .describe('secrets that all processes share (`cordon secrets create`); null makes some of its own under dataDir'),
  heartbeatMs: z.int().min(200).max(longestBeatMs).default(2_000).describe('how often each process says what it is doing'),
  metrics: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('address of /health and /metrics of node, detect and respond; ingest and console have them where they listen'),
      port: port.nullable().default(null).describe('null: they do not listen for it; 0 picks a free one'),
    })
    .prefault({}),
  ingest: z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('address that `cordon ingest` takes flows and telemetry at'),
      port: port.default(8070).describe('0 picks a free one'),
    })
    .prefault({}),
  inference: z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('address that the node listens on'),
      port: port.default(8080).describe('0 picks a free one'),
      tls: Tls.describe('TLS of the node; null is plain HTTP, for behind a proxy'),
      reusePort: z
        .boolean()
        .default(false)
        .describe('let other node processes of this machine listen on the same port (Linux); each has its own inference.node and dataDir'),
      processes: z
        .int()
        .min(1)
        .max(64)
        .default(1)
        .describe(
          'node processes that `cordon node` runs side by side on the same port (Linux), to use so many cores for requests: each is a node of its own, <inference.node>-1 and so on, in a folder of its own under dataDir',
        ),
      node: Name.default('node-1').describe("this node's name in events"),
      backend: z
        .enum(['auto', 'tensorflow-gpu', 'tensorflow', 'webgpu', 'wasm'])
        .default('auto')
        .describe('TensorFlow.js backend; auto takes the best present'),
      modelsDir: z
        .string()
        .nullable()
        .default(null)
        .describe('folder of models; null serves the built-in ones: digits, and language, a small model of characters'),
      maxItems: z.int().min(1).max(1_024).default(128).describe('inputs in one request'),
      maxBodyBytes: z.int().min(1_024).max(67_108_864).default(4_194_304).describe('bytes of one request body'),
      maxQueueItems: z.int().min(1).default(2_048).describe('inputs waiting in one pool before 503'),
      maxRunMs: z
        .int()
        .min(100)
        .default(60_000)
        .describe("how long one batch may run; beyond it its pool's thread is ended and begins again"),
      maxModelBytes: z
        .int()
        .min(1_048_576)
        .default(2_147_483_648)
        .describe('weights in memory, over all pools; beyond it the model that was used least lately makes room'),
      maxBufferedBytes: z.int().min(1_048_576).default(268_435_456).describe('bodies of requests in memory, in all; beyond it 503'),
      maxQueueMs: z.int().min(1).default(5_000).describe('how long a request may have to wait for its turn; beyond it 503 at once'),
      minBodyRate: z
        .int()
        .min(0)
        .default(1_024)
        .describe('bytes a second that a body must arrive with after its first second; slower is 408'),
      generateMs: z.int().min(1_000).default(600_000).describe('how long a generation may take, its stream included'),
      announceMs: z
        .int()
        .min(0)
        .default(0)
        .describe('how long a stopping node goes on serving while /v2/health/ready says 503, for load balancers to see it'),
      drainMs: z.int().min(0).default(10_000).describe('and then: how long what runs may take to finish, streams too'),
      trustedProxies: z
        .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'expected an address, or a network such as 10.0.0.0/8'))
        .max(256)
        .default([])
        .describe('addresses and networks (CIDR) of proxies before the node; only their X-Forwarded-For is believed'),
      limit: rate.nullable().default(null).describe('ordinary limit for each principal, counted in inputs'),
      spoolBytes: z.int().min(65_536).default(268_435_456).describe('events kept on disk while the bus is away'),
      telemetryMs: z.int().min(100).default(5_000).describe('interval of telemetry events'),
      controlBoundMs: z.int().min(500).default(15_000).describe('how old the node may find what it knows of containments and keys'),
      controlLost: z
        .enum(['fail-open', 'last-known', 'fail-closed'])
        .default('last-known')
        .describe('beyond that: enforce nothing, what was known last, or refuse everyone with 503'),
      pricePerItem: z.number().min(0).default(0.0001).describe('cost of one input'),
    })
    .prefault({}),
  pools: z
    .array(PoolConfiguration)
    .min(1)
    .max(256)
    .default(['gpu-a', 'gpu-b'].map((name) => PoolConfiguration.parse({ name, models: ['digits', 'language'] })))
    .describe('groups of workers, or of upstream endpoints; a quarantined pool leaves its models to the others'),
  models: z.record(Name, ModelConfiguration).default({}).describe('by model: how it is batched, bounded and priced'),
  access: Access.describe('who may call'),
  console: z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('address that the console listens on'),
      port: port.default(8090).describe('0 picks a free one'),
    })
    .prefault({}),
  bus: z
    .strictObject({
      adapter: z.enum(['embedded', 'kafka']).default('embedded').describe('LMDB in this process, or Apache Kafka'),
      brokers: z.array(z.string()).default([]).describe('host:port of Kafka brokers'),
      prefix: z.string().max(64).default('cordon.').describe('put before every topic name on Kafka'),
      replication: z.int().min(1).max(32_767).nullable().default(null).describe("copies of each partition; null is the cluster's default"),
      minInsyncReplicas: z
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe("copies that must have a record before it counts; null is the cluster's default"),
      partitions: z
        .record(z.string(), z.int().min(1).max(10_000))
        .default({})
        .describe('partitions by topic, where they differ from the defaults'),
      sessionMs: z
        .int()
        .min(1_000)
        .default(6_000)
        .describe('silence after which a member of a group is replaced; brokers refuse less than 6 s by default'),
      ssl: z.boolean().default(false).describe('TLS to the brokers'),
      caFile: z
        .string()
        .nullable()
        .default(null)
        .describe('PEM of the authority that signed the brokers’ certificates; null is the system’s'),
      certFile: z.string().nullable().default(null).describe('PEM of our own certificate, for mutual TLS'),
      keyFile: z.string().nullable().default(null).describe('PEM of its key'),
      mechanism: z
        .enum(['scram-sha-512', 'scram-sha-256', 'plain'])
        .default('scram-sha-512')
        .describe('SASL mechanism, where there is a username'),
      username: z.string().nullable().default(null).describe('SASL user; null is no SASL'),
      password: z.string().nullable().default(null).describe('SASL password; prefer the environment variable'),
    })
    .prefault({}),
  store: z
    .strictObject({
      url: z.url().nullable().default(null).describe('ClickHouse server; null keeps everything in chDB under dataDir'),
      cluster: Name.nullable().default(null).describe('ClickHouse cluster: tables are replicated, and made on every replica'),
      database: Name.default('cordon').describe('ClickHouse database'),
      username: z.string().default('default').describe('ClickHouse user'),
      password: z.string().nullable().default(null).describe('ClickHouse password; prefer the environment variable'),
    })
    .prefault({}),
  audit: AuditConfiguration,
  limits: LimitsConfiguration,
  policy: PolicyConfiguration.prefault({}),
  detectors: z
    .record(Name, z.strictObject({ enabled: z.boolean().default(true), params: z.record(z.string(), z.unknown()).default({}) }))
    .default({})
    .describe('by detector id: whether it runs, and its parameters (`cordon detectors`)'),
  detection: z
    .strictObject({
      tickMs: z.int().min(10).default(1_000).describe('how often idle partitions are told the time'),
      latenessMs: z.int().min(0).default(10_000).describe('how far behind event time a record may be before it counts as late'),
      objectiveMs: z.int().min(1_000).default(10_000).describe('how soon a record must be seen; later is a gap, and stated'),
      standby: z.boolean().default(true).describe('follow the partitions of a neighbour, to take over at once (several detect processes)'),
      standbyMs: z
        .int()
        .min(200)
        .default(2_000)
        .describe('how long a finding of a neighbour may be missing before it is stated in its place'),
      skewMs: z.int().min(100).default(5_000).describe("how far a sender's clock may be off before its times are corrected"),
      snapshotEvents: z.int().min(1).default(5_000).describe('events between snapshots of detector state'),
      snapshotMs: z.int().min(100).default(30_000).describe('longest time between them'),
    })
    .prefault({}),
  response: z
    .strictObject({
      mode: z.enum(['enforce', 'dry-run']).default('enforce').describe('dry-run records what would have been done'),
      playbook: z.string().nullable().default(null).describe('YAML file; null is the default playbook'),
      protected: z.array(z.string()).default([]).describe('targets that are never contained without a person, as kind:id'),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      otlpEndpoint: z
        .url()
        .nullable()
        .default(null)
        .describe('OpenTelemetry collector (OTLP over HTTP) for spans and metrics; null sends none'),
      otlpHeaders: z.record(z.string(), z.string()).default({}).describe('headers for it; prefer the environment variable'),
      sampleRatio: z.number().min(0).max(1).default(1).describe("share of traces that are sent where the client's trace does not say"),
      namePrincipals: z
        .boolean()
        .default(false)
        .describe('spans name principals as they are; else by a keyed pseudonym. Prompts and answers are in none'),
      intervalMs: z.int().min(1_000).default(30_000).describe('between exports of metrics'),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info').describe('least severe level that is written'),
    })
    .prefault({}),
})
export type Config = z.infer<typeof Config>
