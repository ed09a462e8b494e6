/** Keys of the embedded cloud: which account and role a request comes from. Nothing is secret here. */

/** What a client signs with. */
export interface EmbeddedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Who made a request. */
export interface Caller {
  readonly accountId: string;
  /** `root`, or the name of the role. */
  readonly principal: string;
  readonly arn: string;
  /** Epoch milliseconds; null: the keys last. */
  readonly expiresAt: number | null;
}

const SECRET = 'no secret: the embedded region checks no signature';

/** Keys of an account, or of a role in it. The same for the same arguments. */
export function credentialsFor(accountId: string, role?: string, session?: SessionOptions): EmbeddedCredentials {
  if (!/^\d{12}$/.test(accountId)) throw new RangeError(`${accountId} is not an account id`);
  if (role === undefined) return { accessKeyId: `AKIA0000${accountId}`, secretAccessKey: SECRET };
  const token: Token = [role, session?.name ?? 'session', session?.expiresAt ?? null];
  return {
    accessKeyId: `ASIA0000${accountId}`,
    secretAccessKey: SECRET,
    sessionToken: Buffer.from(JSON.stringify(token)).toString('base64'),
    ...(session?.expiresAt === undefined ? {} : { expiration: new Date(session.expiresAt) }),
  };
}

/** Of an assumed role. */
export interface SessionOptions {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}
type Token = readonly [role: string, session: string, expiresAt: number | null];

/** Who signs with these. Unknown keys are the root of the home account, so that any client's own keys will do. */
export function callerOf(accessKeyId: string, sessionToken: string | undefined, homeAccountId: string): Caller {
  const known = /^(AKIA|ASIA)0000(\d{12})$/.exec(accessKeyId);
  const accountId = known?.[2] ?? homeAccountId;
  const token = known?.[1] === 'ASIA' && sessionToken !== undefined ? readToken(sessionToken) : null;
  if (token === null) return { accountId, principal: 'root', arn: `arn:aws:iam::${accountId}:root`, expiresAt: null };
  const [role, session, expiresAt] = token;
  return { accountId, principal: role, arn: `arn:aws:sts::${accountId}:assumed-role/${role}/${session}`, expiresAt };
}

function readToken(text: string): Token | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64').toString());
    if (!Array.isArray(value) || value.length !== 3) return null;
    const [role, session, expiresAt] = value;
    if (typeof role !== 'string' || typeof session !== 'string') return null;
    return [role, session, typeof expiresAt === 'number' ? expiresAt : null];
  } catch {
    return null;
  }
}
