interface OrderedFile {
  readonly path: string;
  readonly context: { readonly config: { readonly displayName?: { readonly name: string } } };
}

export default class Sequencer {
  constructor(options: object);
  sort<File extends OrderedFile>(files: readonly File[]): File[];
}
