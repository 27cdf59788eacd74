/** Front door: what a workflow is, the catalogue of those that exist, and checking values against schemas. */
export type {
  CallPolicy,
  CallStep,
  ComputeStep,
  DocumentsContract,
  ElementOf,
  MapItem,
  MapStep,
  ModelOutputFormat,
  ModelPrompt,
  ModelText,
  Reading,
  Step,
  StepContext,
  WebhookReceipt,
  WebhookStep,
  Workflow,
  WorkflowDocument,
} from './workflow.js';
export { callStep, computeStep, mapStep, webhookStep, type PromptDraft } from './steps.js';
export { defineWorkflow, WorkflowInvalidError } from './define-workflow.js';
export { repairPrompt, type BrokenAnswer } from './repair-prompt.js';
export { createStepContext, StepOutputMissingError } from './step-context.js';
export type { ResultTable } from './result-table.js';
export { WorkflowCatalogue } from './catalogue.js';
export { workflows } from './workflows.js';
export { checkSchema, type SchemaProblem } from './schema/check-schema.js';
export type { FromSchema, JsonSchema } from './schema/json-schema.js';
export type { MatrixRow, TenderComplianceResult } from './tender-compliance/result-contract.js';
