/** Pure; nothing stands in. */
import { WorkflowCatalogue } from './catalogue.js';
import { WorkflowInvalidError } from './define-workflow.js';
import type { Workflow } from './workflow.js';
import { workflows } from './workflows.js';

const version = (name: string, number: number): Workflow => ({
  name,
  version: number,
  title: name,
  model: 'gpt-5.2',
  inputSchema: {},
  documents: { min: 0, max: 0, mediaTypes: [] },
  steps: [],
  result: {},
  retry: {},
});

describe('the catalogue of workflows', () => {
  const [one, two, ten] = [version('a', 1), version('a', 2), version('a', 10)];
  const catalogue = new WorkflowCatalogue([two, ten, one, version('b', 1)]);

  it('pins new runs to the highest version, and still finds the older ones', () => {
    expect(catalogue.latest('a')).toBe(ten);
    expect(catalogue.find('a', 1)).toBe(one);
  });

  it('knows nothing of names and versions that were never listed', () => {
    expect(catalogue.latest('c')).toBeUndefined();
    expect(catalogue.find('a', 3)).toBeUndefined();
    expect(catalogue.names()).toEqual(['a', 'b']);
  });

  it('refuses the same version twice, and names the next free one', () => {
    expect(() => new WorkflowCatalogue([one, two, version('a', 1)])).toThrow(WorkflowInvalidError);
    expect(() => new WorkflowCatalogue([one, two, version('a', 1)])).toThrow(
      'give the newer one version 3',
    );
  });

  it('still holds every version that this build was published with', () => {
    const published = [
      ['answer', 1],
      ['quick-answer', 1],
      ['tender-compliance', 1],
    ] as const;
    for (const [name, number] of published)
      expect(workflows.find(name, number)).toMatchObject({ name, version: number });
  });
});
