/** The floors of docs/architecture.md: domain <- workflows <- lambdas/aws <- handlers; the simulator stands alone. */
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    forbid('no-circular', 'Two files that need each other are one.', {}, { circular: true }),
    forbid(
      'domain-is-pure',
      'domain/ knows neither AWS nor Lambda nor Node: only itself and zod.',
      { path: '^domain/' },
      { pathNot: ['^domain/', '^node_modules/zod/'] },
    ),
    forbid(
      'workflows-know-ports-not-aws',
      'Workflows know the ports of domain/, the durable SDK and each other.',
      { path: '^lambdas/', pathNot: ['^lambdas/aws/', 'handler\\.ts$', '^lambdas/runbook/'] },
      { path: ['^lambdas/aws/', 'node_modules/@aws-sdk/', '^lib/', '^cli/', '^simulator/', 'handler\\.ts$'] },
    ),
    forbid(
      'adapters-know-domain-only',
      'lambdas/aws answers ports; it does not know who asks.',
      { path: '^lambdas/aws/' },
      { path: ['^lambdas/(?!aws/|runbook/)', '^lib/', '^cli/', '^simulator/'] },
    ),
    forbid(
      'lambdas-stand-below-lib-and-cli',
      'What runs in AWS needs nothing of what deploys or shows it.',
      { path: '^lambdas/' },
      { path: ['^lib/', '^bin/', '^cli/', '^simulator/', '^bench/', '^test/'] },
    ),
    forbid(
      'simulator-can-disagree',
      'The simulator imports nothing of the product: it must be able to disagree with it.',
      { path: '^simulator/' },
      { path: ['^domain/', '^lambdas/', '^lib/', '^cli/', '^bin/', '^test/'] },
    ),
    forbid(
      'lib-shares-contracts-only',
      'lib/ shares contracts and the SSM document; handlers it bundles by path, never imports.',
      { path: '^(lib|bin)/' },
      { path: ['^cli/', '^simulator/', '^lambdas/(?!runbook/)'] },
    ),
    forbid('nothing-needs-tests', 'Tests are leaves.', { pathNot: '^test/' }, { path: '^test/' }),
    forbid('resolvable', 'Every import resolves.', {}, { couldNotResolve: true }),
  ],
  options: {
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
