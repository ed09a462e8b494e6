/** What `cdk synth` and `cdk deploy` run. */
import { InvalidInputError } from '../domain/validation.ts';
import { buildApp } from '../lib/app.ts';

try {
  buildApp().synth();
} catch (error) {
  if (!(error instanceof InvalidInputError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
