/** `npm run test:long`, which CI runs as well: tests that take a part by turns in `npm test` take all of it. */
export const LONG = process.env.AUDIT_BACKLOG_LONG === '1';
