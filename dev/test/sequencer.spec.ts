/** Stands in: jest, which has no memory of these files and knows their sizes. */
import Sequencer from './sequencer.mjs';

const file = (name: string, path: string, size: number) => ({
  path,
  context: { config: { displayName: { name }, cache: false }, hasteFS: { getSize: () => size } },
});

it('where jest has no memory, flow specs come first and unit specs last, the largest of each before the others', () => {
  const files = [
    file('unit', 'huge', 900),
    file('integration', 'large', 300),
    file('flow', 'small', 10),
    file('flow', 'middling', 20),
  ];
  const sorted = new Sequencer({}).sort(files).map(({ path }) => path);
  expect(sorted).toEqual(['middling', 'small', 'large', 'huge']);
});
