/** Holds values against schemas that lie inside an OpenAPI or AsyncAPI document, by their place in it. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';

/** RFC 3339 with a full date and time, as Holdfast writes it. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const DATE = /^\d{4}-\d\d-\d\d$/;

export class DocumentSchemas {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly compiled = new Map<string, ValidateFunction>();

  constructor(document: object) {
    this.ajv.addFormat('date-time', DATE_TIME);
    this.ajv.addFormat('date', DATE);
    this.ajv.addSchema(document, 'document', false, false);
  }

  /** What is wrong with `value` by the schema at this JSON Pointer; nothing: it fits. */
  problems(pointer: string, value: unknown): string[] {
    const validate = this.compiled.get(pointer) ?? this.compile(pointer);
    return validate(value) ? [] : (validate.errors ?? []).map(lineOf);
  }

  private compile(pointer: string): ValidateFunction {
    const validate = this.ajv.compile({ $ref: `document#${encodeURI(pointer)}` });
    this.compiled.set(pointer, validate);
    return validate;
  }
}

function lineOf({ instancePath, message, params }: ErrorObject): string {
  return `${instancePath || '/'} ${message} ${JSON.stringify(params)}`;
}
