#!/usr/bin/env node
// Plain JavaScript that even an old Node can read: it names a Node that cannot run the TypeScript behind it.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `audit-backlog: Node ${process.versions.node} is older than 22.18 and cannot run this program. ` +
      'Node 24 comes with `npm ci`: run `npx audit-backlog` in the project folder, or an npm script.\n',
  );
  process.exitCode = 2;
} else {
  import('./main.ts')
    .then(({ main }) => main(process.argv.slice(2)))
    .then((code) => {
      process.exitCode = code;
    });
}
