/** The cloud over HTTP, on loopback only: good for any AWS client with an endpoint URL. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Answering } from './in-process.ts';

/** Larger than any request AWS's services take here (Lambda's 6 MB). Unit: bytes. */
const MAX_BODY = 8 * 1024 * 1024;

/** A cloud that listens. */
export interface Serving {
  readonly port: number;
  /** Takes no more requests, waits for those under way, then ends. */
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1. A page in a browser cannot reach it under another name: the Host header must be loopback's.
 * @param port 0 for any free one.
 */
export async function serve(cloud: Answering, port: number): Promise<Serving> {
  const server = createServer((request, response) => {
    answer(cloud, request, response).catch((error: unknown) => {
      if (!isLost(error)) {
        process.stderr.write(
          `embedded region: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
        );
        if (!response.headersSent) return refuse(response, 500, 'the embedded region failed: see its standard error');
      }
      response.destroy();
    });
  });
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

async function answer(cloud: Answering, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!/^(127\.0\.0\.1|localhost)(:\d{1,5})?$/i.test(request.headers.host ?? '')) {
    return refuse(response, 403, 'the Host header must be 127.0.0.1 or localhost');
  }
  const body = await read(request);
  if (body === null) return refuse(response, 413, `the request is larger than ${MAX_BODY} bytes`);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  const answered = await cloud.handle({ method: request.method ?? 'GET', path: request.url ?? '/', headers, body });
  response.writeHead(answered.status, { ...answered.headers, 'content-length': Buffer.byteLength(answered.body) });
  response.end(answered.body);
}

/** The whole body; null where it is too large: the rest is not kept. */
function read(request: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
      else resolve(null);
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' });
  response.end(`${why}\n`);
}

function isLost(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConnectionLost';
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
    server.closeIdleConnections();
  });
}
