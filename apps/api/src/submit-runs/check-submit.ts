/** What a submit must meet before anything is stored. Pure: takes the body and facts about the documents, throws a problem. */
import { pointerTo, SubmitRunBody, type ProblemField } from '#libs/contracts';
import { checkSchema, type Workflow, type WorkflowCatalogue } from '#libs/workflows';
import { checkedBodyOf, refusedBody } from '../json-body.js';

/** What is known of a document that the caller named. */
export interface KnownDocument {
  readonly id: string;
  readonly mediaType: string;
}

export function checkBody(body: unknown): SubmitRunBody {
  return checkedBodyOf(SubmitRunBody, body, 'a run');
}

export function findWorkflow(body: SubmitRunBody, catalogue: WorkflowCatalogue): Workflow {
  const workflow = catalogue.latest(body.workflow);
  if (workflow) return workflow;
  throw refusedBody('unknown_workflow', 'The workflow does not exist', [
    {
      pointer: '/workflow',
      message: 'is not the name of a workflow',
      mend: `Use one of: ${catalogue.names().join(', ')}.`,
    },
  ]);
}

export function checkInput(body: SubmitRunBody, workflow: Workflow): void {
  const wrong = checkSchema(workflow.inputSchema, body.input);
  if (wrong.length === 0) return;
  const errors = wrong.map(({ pointer, message, mend }) => {
    return { pointer: `/input${pointer}`, message, mend };
  });
  throw refusedBody(
    'invalid_input',
    `The input does not fit the workflow ${workflow.name}`,
    errors,
  );
}

/** `known`: those of the named documents that exist for this tenant. */
export function checkDocuments(
  body: SubmitRunBody,
  workflow: Workflow,
  known: readonly KnownDocument[],
): void {
  const named = body.documents ?? [];
  const byId = new Map(known.map((document) => [document.id, document]));
  const wrong = [
    ...wrongCount(named.length, workflow),
    ...named.flatMap((id, index) => wrongDocument(index, byId.get(id), workflow)),
  ];
  if (wrong.length === 0) return;
  throw refusedBody('invalid_documents', `The documents do not fit ${workflow.name}`, wrong);
}

function wrongCount(count: number, { name, documents: { min, max } }: Workflow): ProblemField[] {
  if (count >= min && count <= max) return [];
  const takes = min === max ? `${min}` : `${min} to ${max}`;
  const message = `has ${count} documents; ${name} takes ${takes}`;
  const mend = `Upload with POST /v1/documents and name ${takes} of the ids it answers.`;
  return [{ pointer: '/documents', message, mend }];
}

function wrongDocument(
  index: number,
  document: KnownDocument | undefined,
  { name, documents: { mediaTypes } }: Workflow,
): ProblemField[] {
  const pointer = pointerTo('documents', index);
  if (!document) {
    const mend = 'Upload it with POST /v1/documents first and use the id it answers.';
    return [{ pointer, message: 'is not a document of yours', mend }];
  }
  if (mediaTypes.includes(document.mediaType)) return [];
  const message = `is ${document.mediaType}, which ${name} does not take`;
  return [
    { pointer, message, mend: `Use a document of one of these types: ${mediaTypes.join(', ')}.` },
  ];
}
