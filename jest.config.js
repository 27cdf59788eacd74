/** Unit specs sit beside the code; integration, flow and fault specs under test/ need the stack that `npm run specs` starts. */
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: {
            legacyDecorator: true,
            decoratorMetadata: true,
            useDefineForClassFields: false,
          },
        },
        module: { type: 'es6' },
      },
    ],
  },
  moduleNameMapper: {
    '^#libs/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.holdfast/'],
};

const project = (displayName, ...globs) => ({
  ...shared,
  displayName,
  testMatch: globs.map((glob) => `<rootDir>/${glob}`),
});

export default {
  testTimeout: 180_000, // for what hangs: a busy machine takes several times as long as a free one
  projects: [
    project(
      'unit',
      ...['libs', 'apps', 'dev', 'test/oracle'].map((folder) => `${folder}/**/*.spec.ts`),
    ),
    project('integration', 'test/integration/**/*.spec.ts'),
    project('flow', 'test/flow/**/*.spec.ts'),
    project('faults', 'test/faults/**/*.spec.ts'),
  ],
};
