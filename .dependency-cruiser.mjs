// Design's import table. Each room and what it may import, besides `bounded`; anything else is an error.
const rooms = {
  bounded: [],
  schemas: [],
  access: ['schemas', 'bus'],
  policy: ['schemas'],
  limits: ['schemas', 'bus'],
  audit: ['schemas', 'bus'],
  bus: ['schemas'],
  store: ['schemas'],
  ingest: ['schemas', 'bus', 'store'],
  detectors: ['schemas'],
  responders: ['schemas'],
  inference: ['schemas', 'bus', 'access', 'policy', 'limits', 'audit'],
  pipeline: ['schemas', 'access', 'audit', 'bus', 'store', 'detectors', 'responders', 'ingest'],
  console: ['schemas', 'store', 'bus', 'access', 'policy', 'audit'],
  deploy: [],
}
const all = [...Object.keys(rooms), 'cli', 'test', 'scripts']

export default {
  forbidden: [
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `room-${room}`,
      severity: 'error',
      from: { path: `^${room}/` },
      to: { path: `^(${all.filter((other) => ![room, 'bounded', ...may].includes(other)).join('|')})/` },
    })),
    {
      name: 'schemas-zod-only',
      severity: 'error',
      from: { path: '^schemas/' },
      to: { path: 'node_modules', pathNot: 'node_modules/zod/' },
    },
    {
      name: 'pure-rooms-no-io',
      severity: 'error',
      from: { path: '^(detectors|responders)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      // The demo plays the same attacks that the detectors are tested on; nothing else of the product knows them.
      name: 'no-test-in-product',
      severity: 'error',
      from: { pathNot: '^(test|scripts|cli/demo)/' },
      to: { path: '^test/' },
    },
    { name: 'demo-attacks-only', severity: 'error', from: { path: '^cli/demo/' }, to: { path: '^test/', pathNot: '^test/attacks/' } },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^@tensorflow/tfjs-node' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
