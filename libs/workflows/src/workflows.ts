/** The workflows of this build. */
import { answer, quickAnswer } from './answer/answer.js';
import { WorkflowCatalogue } from './catalogue.js';
import { tenderCompliance } from './tender-compliance/tender-compliance.js';

export const workflows = new WorkflowCatalogue([answer, quickAnswer, tenderCompliance]);
