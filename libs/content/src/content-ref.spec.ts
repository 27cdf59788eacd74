import fc from 'fast-check';
import { contentHash, contentRef, digestOf, documentId, refOf } from './content-ref.js';

const digestFor = (tenant: string, bytes: Uint8Array) => contentHash(tenant).update(bytes).digest();

describe('content refs', () => {
  it('a ref and its document id lead to each other and to the digest', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (tenant, bytes) => {
        const digest = digestFor(tenant, bytes);
        const ref = refOf(digest);
        expect(ref).toMatch(/^cnt_[A-Za-z0-9_-]{43}$/);
        expect(documentId(ref)).toBe(`doc_${ref.slice(4)}`);
        expect(contentRef(documentId(ref))).toBe(ref);
        expect(digestOf(ref)).toEqual(digest);
      }),
    );
  });

  it('the same bytes have another name in another tenant', () => {
    const bytes = Buffer.from('The vendor shall …');
    expect(digestFor('a', bytes)).not.toEqual(digestFor('b', bytes));
  });

  it('a tenant and bytes that read the same when joined do not share a name', () => {
    expect(digestFor('a', Buffer.from('bc'))).not.toEqual(digestFor('ab', Buffer.from('c')));
  });

  it.each(['', 'cnt_', 'doc_', 'cnt_x', `doc_${'A'.repeat(43)}`, `cnt_${'A'.repeat(42)}`])(
    '%p is no ref',
    (ref) => expect(digestOf(ref)).toBeNull(),
  );

  it('a second spelling of a digest is no ref', () => {
    expect(digestOf(`cnt_${'A'.repeat(43)}`)).not.toBeNull();
    expect(digestOf(`cnt_${'A'.repeat(42)}B`)).toBeNull();
  });

  it.each(['', 'x', 'cnt_', `cnt_${'A'.repeat(43)}`, 'doc_', 'doc_x'])(
    'what is no document id (%p) refers to nothing',
    (id) => expect(digestOf(contentRef(id))).toBeNull(),
  );
});
