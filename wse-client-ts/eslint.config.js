// Lint rules: typescript-eslint's strict set, and the walls between the layers.
import tseslint from 'typescript-eslint';

const WORLD = ['window', 'document', 'navigator', 'location', 'localStorage', 'sessionStorage', 'WebSocket', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'requestAnimationFrame', 'queueMicrotask', 'performance', 'crypto', 'fetch', 'console'];

const noReact = { group: ['react', 'react/*', 'react-dom', 'react-dom/*', '**/react/*'], message: 'Only src/react knows React.' };

export default tseslint.config(
  { ignores: ['dist', 'node_modules', '*.config.js', 'tools'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // T appears once where the caller says what a payload or reply is: the wire cannot.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', 70],
    },
  },
  {
    files: ['src/core/**'],
    rules: {
      'no-restricted-globals': ['error', ...WORLD.map((name) => ({ name, message: 'The core gets the world through its roles.' }))],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random' }, { object: 'Date', property: 'now' }],
      'no-restricted-imports': ['error', { patterns: [noReact, { group: ['**/browser/*', '**/store/*', 'zustand', 'zustand/*'], message: 'The core is the lowest layer.' }] }],
    },
  },
  { files: ['src/browser/**', 'src/store/**'], rules: { 'no-restricted-imports': ['error', { patterns: [noReact] }] } },
  {
    files: ['tests/**'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/only-throw-error': 'off',
    },
  },
  // An implementation of an async role may have nothing to wait for.
  { files: ['src/testing/**', 'src/browser/storage.ts'], rules: { '@typescript-eslint/require-await': 'off' } },
);
