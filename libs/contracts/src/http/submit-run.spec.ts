import fc from 'fast-check';
import { checkFields } from './check-fields.js';
import { findUnholdable, MAX_JSON_DEPTH } from './json-limits.js';
import { durationMs, SubmitRunBody } from './submit-run.js';

const document = `doc_${'a'.repeat(43)}`;
const good = { workflow: 'answer', input: { question: 'Why?' } };

function pointersOf(body: unknown): string[] {
  const checked = checkFields(SubmitRunBody, body);
  return checked.kind === 'invalid' ? checked.wrong.map((each) => each.pointer) : [];
}

describe('the body of a submit', () => {
  it('is taken with its required fields alone, and with all', () => {
    expect(checkFields(SubmitRunBody, good).kind).toBe('valid');
    const full = {
      ...good,
      documents: [document],
      reference: 'tender 7',
      labels: { team: 'bids', 'a/b.c': '' },
      priority: 'batch',
      deadline: 'P1DT2H3M4S',
    };
    expect(checkFields(SubmitRunBody, full).kind).toBe('valid');
  });

  it.each([
    ['no body', null, ['']],
    ['a list', [], ['']],
    ['nothing in it', {}, ['/workflow', '/input']],
    ['an unknown field', { ...good, colour: 1 }, ['/colour']],
    ['a field name with a slash', { ...good, 'a/b~c': 1 }, ['/a~1b~0c']],
    ['a constructor of its own', { ...good, constructor: { name: 'Object' } }, ['/constructor']],
    ['a number for a name', { ...good, workflow: 7 }, ['/workflow']],
    ['a string for the input', { ...good, input: 'x' }, ['/input']],
    ['a list for the input', { ...good, input: [] }, ['/input']],
    ['one wrong document id', { ...good, documents: [document, 'x'] }, ['/documents/1']],
    ['a document twice', { ...good, documents: [document, document] }, ['/documents/1']],
    ['a number among documents', { ...good, documents: [5] }, ['/documents/0']],
    ['a NUL in the reference', { ...good, reference: 'a\u0000b' }, ['/reference']],
    ['a label that is no string', { ...good, labels: { a: 1 } }, ['/labels/a']],
    ['a NUL in a label', { ...good, labels: { a: '\u0000' } }, ['/labels/a']],
    ['labels as a list', { ...good, labels: ['a'] }, ['/labels']],
    ['an unknown priority', { ...good, priority: 'urgent' }, ['/priority']],
    ['a deadline in months', { ...good, deadline: 'P1M' }, ['/deadline']],
    ['an empty duration', { ...good, deadline: 'PT' }, ['/deadline']],
  ])('names the field of: %s', (_, body, pointers) => {
    expect(pointersOf(body).sort()).toEqual([...pointers].sort());
  });

  it('says for each wrong field what is wrong and what to write', () => {
    const checked = checkFields(SubmitRunBody, { ...good, workflow: 7 });
    expect(checked).toEqual({
      kind: 'invalid',
      wrong: [
        {
          pointer: '/workflow',
          message: 'must be a string',
          mend: 'Name the workflow to run, such as "answer".',
        },
      ],
    });
  });

  it('reads durations', () => {
    expect(durationMs('PT2H')).toBe(7_200_000);
    expect(durationMs('P1DT1M1S')).toBe(86_461_000);
  });
});

describe('JSON that a store cannot hold', () => {
  it.each([
    ['a number beyond a double', JSON.parse('{"a":[1,1e999]}') as unknown, '/a/1'],
    ['half a surrogate pair', { a: '\ud800' }, '/a'],
    ['half a pair in a name', { a: { '\ud800': 1 } }, '/a'],
    ['a prototype', JSON.parse('{"a":{"__proto__":{}}}') as unknown, '/a'],
  ])('is found: %s', (_, value, pointer) => {
    expect(findUnholdable(value)?.pointer).toBe(pointer);
  });

  it('is found without recursion when nested 100,000 deep', () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
    expect(findUnholdable(deep)?.message).toContain(String(MAX_JSON_DEPTH));
  });

  it('is not what ordinary JSON is', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => !findUnholdable(value)));
  });
});
