/** Every variant synthesizes, and cfn-lint, where it is installed, finds nothing in any template. */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appWith } from './synth.ts';
import { VARIANTS } from './variants.ts';

const installed = spawnSync('cfn-lint', ['--version']).status === 0;
if (!installed) process.stderr.write('cfn-lint is not installed: the templates are synthesized, but not linted\n');

const synthesized = Object.entries(VARIANTS).map(([name, settings]) => {
  const { directory, stacks } = appWith(settings).synth();
  const files = readdirSync(directory).filter((file) => file.endsWith('.template.json'));
  return { name, directory, stacks, templates: files.map((file) => join(directory, file)) };
});

it.each(synthesized.map((one) => [one.name, one] as const))('%s synthesizes without errors', (_, one) => {
  expect(one.templates).toHaveLength(one.stacks.length);
  const messages = one.stacks.flatMap((stack) => stack.messages.filter(({ level }) => level !== 'info'));
  expect(messages.map(({ entry }) => entry.data)).toEqual([]);
});

(installed ? it : it.skip)(
  'cfn-lint finds nothing in any of them, and what is wrong in one that is',
  () => {
    const [first] = synthesized;
    const wrong = join(first?.directory ?? '', 'wrong.json');
    writeFileSync(wrong, '{"Resources":{"T":{"Type":"AWS::SQS::Queue","Properties":{"Nonsense":1}}}}');
    // Of the documents of many cells one is enough: they are the same.
    const templates = synthesized.flatMap((one) => {
      const [cell] = one.templates.filter((path) => path.includes('-Cell-'));
      return [...one.templates.filter((path) => !path.includes('-Cell-')), ...(cell ? [cell] : [])];
    });
    const { stdout } = spawnSync('cfn-lint', ['--format', 'parseable', '--', ...templates, wrong], {
      encoding: 'utf8',
    });
    const findings = stdout.trim().split('\n');
    expect(findings).toEqual([expect.stringMatching(/wrong\.json:.*Nonsense/)]);
  },
  180_000,
);
