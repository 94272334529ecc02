// The house: each layer imports only layers above it in this list; those on one line share nothing but types.
const LAYERS = [
  ['errors', 'plural'],
  ['amounts'],
  ['progress'],
  ['vector', 'sql'],
  ['config'],
  ['db'],
  ['state', 'models'],
  ['adapters'],
  ['providers'],
  ['throttle'],
  ['plan', 'inspect', 'bench'],
  ['search'],
  ['backfill', 'evaluate', 'swap'],
  ['steps'],
  ['service'],
  ['reports'],
  ['migrations'],
  ['index'],
  ['cli'],
];

/** A layer is a folder of src or a single file there. */
const pathOf = (names) => `^src/(${names.join('|')})(/|\\.ts$)`;

const layerRules = LAYERS.flatMap((names, i) =>
  names.flatMap((name) => {
    const siblings = names.filter((other) => other !== name);
    const above = LAYERS.slice(0, i).flat();
    const comment = `src/${name} may import only itself and the layers above it`;
    const from = { path: pathOf([name]) };
    return [
      {
        name: `layer-${name}`,
        comment,
        severity: 'error',
        from,
        to: { path: '^src/', pathNot: pathOf([name, ...siblings, ...above]) },
      },
      ...siblings.map((sibling) => ({
        name: `layer-${name}-${sibling}`,
        comment,
        severity: 'error',
        from,
        to: { path: pathOf([sibling]), dependencyTypesNot: ['type-only'] },
      })),
    ];
  }),
);

const PURE = pathOf(['vector', 'sql', 'plan', 'reports']);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'known-layer',
      comment: 'every folder of src has its place among the layers',
      severity: 'error',
      from: { path: '^src/', pathNot: pathOf(LAYERS.flat()) },
      to: {},
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'db-owns-pg',
      comment: 'knex and pg are loaded in src/db only; their types may be used elsewhere',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/db/' },
      to: { path: 'node_modules/(knex|pg|@types/pg|pg-[a-z-]+)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'session-owns-onnxruntime',
      severity: 'error',
      from: { path: '^(src|bench|scripts)/', pathNot: '^src/models/session\\.ts$' },
      to: { path: 'node_modules/onnxruntime-', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'pure',
      comment: 'vector, sql, plan and reports compute: no package and nothing of Node',
      severity: 'error',
      from: { path: PURE },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-peer', 'npm-optional', 'npm-no-pkg'] },
    },
    {
      name: 'reports-types-only',
      severity: 'error',
      from: { path: pathOf(['reports']) },
      to: { path: '^src/', pathNot: pathOf(['reports', 'plural', 'amounts']), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'outside-by-the-front-door',
      comment: 'examples and migrations use what users use; benches and scripts look at the parts themselves',
      severity: 'error',
      from: { path: '^(bin|examples|migrations)/' },
      to: { path: '^src/', pathNot: '^src/(index|migrations/index|cli/main)\\.ts$' },
    },
    {
      name: 'library-without-its-shell',
      comment: 'the library never needs development packages, and yargs only in the CLI',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: 'node_modules/(yargs|vitest|typescript|esbuild)/' },
    },
    { name: 'resolvable', severity: 'error', from: { path: '^(src|migrations)/' }, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
