/** `audit-backlog detect`: one JSON line a file. */
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { detectReport, readEvidence } from '../../domain/evidence.ts';
import { printable } from '../../domain/printable.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { jsonLine } from '../plain-text.ts';

const STDIN = '-';

/** Adds the command. Files that cannot be read are named and do not stop the others. */
export function addDetect(program: Command, done: (code: ExitCode) => void): void {
  program
    .command('detect')
    .description('says what console texts prove: one line of JSON a file')
    .argument('<file...>', `console texts as the serial console gave them; ${STDIN} is stdin`)
    .addHelpText(
      'after',
      `
The verdict is overflow (the kernel said so), suspected (weaker) or none. See docs/contracts.md for the fields.

Examples:
  audit-backlog detect console.log
  aws ec2 get-console-output --latest --instance-id i-0123456789abcdef0 --query Output --output text | audit-backlog detect -`,
    )
    .action(async (files: string[]) => {
      let code: ExitCode = EXIT.done;
      for (const file of files) {
        let bytes: Uint8Array;
        try {
          bytes = await (file === STDIN ? buffer(process.stdin) : readFile(file));
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          process.stderr.write(
            `audit-backlog: ${printable(`${file} cannot be read (${why})`)}; check the path and its permissions\n`,
          );
          code = EXIT.usage;
          continue;
        }
        process.stdout.write(jsonLine(detectReport(file, readEvidence(bytes))));
      }
      done(code);
    });
}
