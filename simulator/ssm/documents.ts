/** SSM documents of one cell: their versions, and what a SendCommand may ask of them. */
import { createHash } from 'node:crypto';
import { type ApiCall, ApiError, type Json, type JsonObject, notModelled } from '../core.ts';
import { isObject, type Parameters } from '../parameters.ts';

const DOCUMENT_BYTES = 65_536;
const MAX_VERSIONS = 1000;
export const SHELL_DOCUMENT = 'AWS-RunShellScript';

/** A parameter as a document declares it. */
export interface DeclaredParameter {
  readonly type: 'String' | 'StringList';
  readonly defaultValue: string | null;
  readonly allowedPattern: string | null;
  readonly allowedValues: readonly string[] | null;
  /** The agent hands it to the script as SSM_<name> (since 3.3.2746.0). */
  readonly envVar: boolean;
}

/** A Command document of schema 2.2 with one aws:runShellScript step. */
export interface ShellDocument {
  readonly description: string;
  readonly parameters: Readonly<Record<string, DeclaredParameter>>;
  readonly runCommand: readonly string[];
  /** How long the step may run: seconds, or `{{ name }}` of a parameter. */
  readonly timeoutSeconds: string;
}

/** @throws ApiError InvalidDocumentContent for what SSM refuses, and for what the embedded region does not model. */
export function parseDocument(content: string): ShellDocument {
  let value: Json;
  try {
    value = JSON.parse(content) as Json;
  } catch {
    throw invalid('the content is not JSON');
  }
  if (!isObject(value)) throw invalid('the content is not an object');
  if (value.schemaVersion !== '2.2') throw invalid('the embedded region models schemaVersion 2.2 only');
  const parameters: Record<string, DeclaredParameter> = {};
  for (const [name, declared] of Object.entries(isObject(value.parameters) ? value.parameters : {})) {
    if (!/^[A-Za-z0-9]+$/.test(name) || !isObject(declared)) throw invalid(`parameter ${name}`);
    parameters[name] = parseParameter(name, declared);
  }
  const steps = value.mainSteps;
  if (!Array.isArray(steps) || steps.length !== 1) throw invalid('the embedded region models one step in mainSteps');
  const step: Json = steps[0];
  if (!isObject(step) || step.action !== 'aws:runShellScript') throw invalid('the step is not aws:runShellScript');
  const inputs = step.inputs;
  if (!isObject(inputs) || !Array.isArray(inputs.runCommand)) throw invalid('inputs.runCommand is missing');
  return {
    description: typeof value.description === 'string' ? value.description : '',
    parameters,
    runCommand: inputs.runCommand.map(String),
    timeoutSeconds: String(inputs.timeoutSeconds ?? '3600'),
  };
}

function parseParameter(name: string, declared: JsonObject): DeclaredParameter {
  const { type, interpolationType, allowedPattern, allowedValues } = declared;
  if (type !== 'String' && type !== 'StringList') throw invalid(`parameter ${name} has the type ${String(type)}`);
  if (typeof allowedPattern === 'string') {
    try {
      new RegExp(allowedPattern);
    } catch {
      throw invalid(`allowedPattern of ${name} is no regular expression`);
    }
  }
  return {
    type,
    defaultValue: declared.default === undefined ? null : String(declared.default),
    allowedPattern: typeof allowedPattern === 'string' ? allowedPattern : null,
    allowedValues: Array.isArray(allowedValues) ? allowedValues.map(String) : null,
    envVar: interpolationType === 'ENV_VAR',
  };
}

function invalid(why: string): ApiError {
  return new ApiError('InvalidDocumentContent', `The content for the document is not valid: ${why}.`);
}

interface Version {
  readonly number: number;
  readonly content: string;
  readonly hash: string;
  readonly createdAt: number;
  readonly parsed: ShellDocument;
}

interface StoredDocument {
  readonly name: string;
  readonly versions: Version[];
  defaultVersion: number;
}

/** A document with the version that was asked for. */
export interface ResolvedDocument {
  readonly name: string;
  readonly version: string;
  readonly hash: string;
  readonly parsed: ShellDocument;
}

const SHELL_CONTENT = JSON.stringify({
  schemaVersion: '2.2',
  description: 'Run a shell script or specify the commands to run.',
  parameters: {
    commands: { type: 'StringList' },
    workingDirectory: { type: 'String', default: '' },
    executionTimeout: {
      type: 'String',
      default: '3600',
      allowedPattern: '([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)',
    },
  },
  mainSteps: [
    {
      action: 'aws:runShellScript',
      name: 'runShellScript',
      inputs: { runCommand: ['{{ commands }}'], timeoutSeconds: '{{ executionTimeout }}' },
    },
  ],
});

/** The documents of one account and region. */
export class DocumentStore {
  readonly #documents = new Map<string, StoredDocument>();

  constructor() {
    this.#documents.set(SHELL_DOCUMENT, {
      name: SHELL_DOCUMENT,
      versions: [version(1, SHELL_CONTENT)],
      defaultVersion: 1,
    });
  }

  /** By name or ARN, and version: a number, `$DEFAULT`, `$LATEST`, or nothing for the default. */
  resolve(nameOrArn: string, wanted: string | undefined): ResolvedDocument {
    const document = this.#find(nameOrArn);
    const found = this.#version(document, wanted);
    return { name: document.name, version: `${found.number}`, hash: found.hash, parsed: found.parsed };
  }

  #find(nameOrArn: string): StoredDocument {
    const name = /^arn:[^:]+:ssm:[^:]*:[^:]*:document\/(.+)$/.exec(nameOrArn)?.[1] ?? nameOrArn;
    const document = this.#documents.get(name);
    if (!document) throw new ApiError('InvalidDocument', `Document with name ${name} does not exist.`);
    return document;
  }

  #version(document: StoredDocument, wanted: string | undefined): Version {
    const latest = document.versions.at(-1)?.number ?? 1;
    const number =
      wanted === undefined || wanted === '$DEFAULT'
        ? document.defaultVersion
        : wanted === '$LATEST'
          ? latest
          : Number(wanted);
    const found = document.versions.find((each) => each.number === number);
    if (!found) {
      throw new ApiError(
        'InvalidDocumentVersion',
        `The document version ${wanted} of ${document.name} does not exist.`,
      );
    }
    return found;
  }

  create(call: ApiCall, parameters: Parameters): JsonObject {
    const name = parameters.required('Name');
    const content = readContent(call, parameters);
    const type = parameters.string('DocumentType') ?? 'Command';
    if (type !== 'Command') notModelled(call, `document type ${type}`);
    parameters.string('TargetType');
    parameters.objects('Tags');
    parameters.done();
    if (!/^[a-zA-Z0-9_\-.]{3,128}$/.test(name) || /^(aws|amazon|amzn)/i.test(name)) {
      throw new ApiError('ValidationException', `The document name ${name} is not valid.`);
    }
    if (this.#documents.has(name))
      throw new ApiError('DocumentAlreadyExists', `Document with name ${name} already exists`);
    const document = { name, versions: [version(1, content)], defaultVersion: 1 };
    this.#documents.set(name, document);
    return { DocumentDescription: this.#describe(call, document, undefined) };
  }

  update(call: ApiCall, parameters: Parameters): JsonObject {
    const document = this.#own(parameters.required('Name'));
    const content = readContent(call, parameters);
    const base = parameters.string('DocumentVersion');
    parameters.done();
    const latest = this.#version(document, '$LATEST');
    if (base !== undefined && base !== '$LATEST' && Number(base) !== latest.number) {
      throw new ApiError('InvalidDocumentVersion', `Only the latest version of ${document.name} can be updated.`);
    }
    if (document.versions.some((each) => each.hash === hashOf(content))) {
      throw new ApiError(
        'DuplicateDocumentContent',
        `The content of ${document.name} is the same as that of another version.`,
      );
    }
    if (document.versions.length >= MAX_VERSIONS) {
      throw new ApiError('DocumentVersionLimitExceeded', `${document.name} has ${MAX_VERSIONS} versions.`);
    }
    document.versions.push(version(latest.number + 1, content));
    return { DocumentDescription: this.#describe(call, document, '$LATEST') };
  }

  updateDefault(parameters: Parameters): JsonObject {
    const document = this.#own(parameters.required('Name'));
    const { number } = this.#version(document, parameters.required('DocumentVersion'));
    parameters.done();
    document.defaultVersion = number;
    return { Description: { Name: document.name, DefaultVersion: `${number}` } };
  }

  describe(call: ApiCall, parameters: Parameters): JsonObject {
    const document = this.#find(parameters.required('Name'));
    const wanted = parameters.string('DocumentVersion');
    parameters.done();
    return { Document: this.#describe(call, document, wanted) };
  }

  get(call: ApiCall, parameters: Parameters): JsonObject {
    const document = this.#find(parameters.required('Name'));
    const found = this.#version(document, parameters.string('DocumentVersion'));
    const format = parameters.string('DocumentFormat') ?? 'JSON';
    parameters.done();
    if (format !== 'JSON') notModelled(call, `document format ${format}`);
    return {
      Name: document.name,
      DocumentVersion: `${found.number}`,
      Status: 'Active',
      Content: found.content,
      DocumentType: 'Command',
      DocumentFormat: 'JSON',
      CreatedDate: found.createdAt / 1000,
    };
  }

  #own(name: string): StoredDocument {
    const document = this.#find(name);
    if (document.name === SHELL_DOCUMENT) throw new ApiError('InvalidDocument', `${name} belongs to Amazon.`);
    return document;
  }

  #describe(call: ApiCall, document: StoredDocument, wanted: string | undefined): JsonObject {
    const found = this.#version(document, wanted);
    return {
      Name: document.name,
      Owner: document.name === SHELL_DOCUMENT ? 'Amazon' : call.accountId,
      Hash: found.hash,
      HashType: 'Sha256',
      DocumentVersion: `${found.number}`,
      DefaultVersion: `${document.defaultVersion}`,
      LatestVersion: `${this.#version(document, '$LATEST').number}`,
      Status: 'Active',
      Description: found.parsed.description,
      DocumentType: 'Command',
      DocumentFormat: 'JSON',
      SchemaVersion: '2.2',
      PlatformTypes: ['Linux'],
      CreatedDate: found.createdAt / 1000,
      Parameters: Object.entries(found.parsed.parameters).map(([Name, declared]) => ({
        Name,
        Type: declared.type,
        ...(declared.defaultValue === null ? {} : { DefaultValue: declared.defaultValue }),
      })),
    };
  }
}

function readContent(call: ApiCall, parameters: Parameters): string {
  const content = parameters.required('Content');
  const format = parameters.string('DocumentFormat') ?? 'JSON';
  if (format !== 'JSON') notModelled(call, `document format ${format}`);
  if (Buffer.byteLength(content) > DOCUMENT_BYTES) {
    throw new ApiError('MaxDocumentSizeExceeded', `The size limit of a document is ${DOCUMENT_BYTES / 1024} KB.`);
  }
  return content;
}

function hashOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

function version(number: number, content: string): Version {
  return { number, content, hash: hashOf(content), createdAt: Date.now(), parsed: parseDocument(content) };
}

/**
 * The parameters of a call, checked against the document, defaults filled in.
 * @throws ApiError InvalidParameters
 */
export function checkParameters(document: ShellDocument, given: Json | undefined): Record<string, readonly string[]> {
  const values: Record<string, readonly string[]> = {};
  const sent = given === undefined || given === null ? {} : given;
  if (!isObject(sent)) throw invalidParameters('they are not an object');
  for (const [name, value] of Object.entries(sent)) {
    if (value === undefined) continue;
    const declared = document.parameters[name];
    if (!declared) throw invalidParameters(`parameter ${name} is not declared in the document`);
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
      throw invalidParameters(`parameter ${name} is not a list of texts`);
    }
    const texts = value.map(String);
    if (declared.type === 'String' && texts.length !== 1) throw invalidParameters(`parameter ${name} needs one value`);
    for (const text of texts) checkValue(name, declared, text);
    values[name] = texts;
  }
  for (const [name, declared] of Object.entries(document.parameters)) {
    if (values[name]) continue;
    if (declared.defaultValue === null) throw invalidParameters(`parameter ${name} is required`);
    values[name] = [declared.defaultValue];
  }
  return values;
}

function checkValue(name: string, declared: DeclaredParameter, text: string): void {
  if (declared.allowedValues && !declared.allowedValues.includes(text)) {
    throw invalidParameters(`parameter ${name} is none of ${declared.allowedValues.join(', ')}`);
  }
  if (declared.allowedPattern !== null && !new RegExp(`^(?:${declared.allowedPattern})$`).test(text)) {
    throw invalidParameters(`parameter ${name} does not match ${declared.allowedPattern}`);
  }
}

function invalidParameters(why: string): ApiError {
  return new ApiError('InvalidParameters', `The parameters are not valid: ${why}.`);
}
