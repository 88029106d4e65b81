import { type FileHeader, fileHeaderSize, readFileHeader } from './file-header.ts';
import { PageSummarizer, skipSummary } from './page-summary.ts';
import { NumberReader } from './varints.ts';

/** A stretch of the file whose content has a name: another content has another one. */
export interface NamedBlock {
  id: string;
  /** In bytes. */
  from: number;
  to: number;
}

interface SummarizedBlock extends NamedBlock {
  pages: Uint8Array;
}

/** Changes when the summaries do, so that those of another version of the app are not used. */
const format = 1;

/** The summaries of the pages of a file, by block. Blocks can be replaced until all of them are of one state of the file. */
export class SummarizedFile {
  #blocks: (SummarizedBlock | undefined)[] = [];
  #start: Uint8Array = new Uint8Array();
  #summarizer: PageSummarizer | undefined;

  /** Undefined as long as the first block is not there, or if it is not that of a database. */
  get header(): FileHeader | undefined {
    return readFileHeader(this.#start);
  }

  /** The blocks of `present` that are not summarized, the first block of the file first. Drops those that are not present. */
  missing(present: readonly NamedBlock[]): { index: number; block: NamedBlock }[] {
    this.#blocks.length = Math.min(this.#blocks.length, present.length);
    return present.flatMap((block, index) => {
      const known = this.#blocks[index];
      const isSame = known?.id === block.id && known.from === block.from && known.to === block.to;
      return isSame ? [] : [{ index, block }];
    });
  }

  /** @param bytes of the block. The first block of the file must come first. @returns false if the file is not a database */
  add(index: number, block: NamedBlock, bytes: Uint8Array): boolean {
    if (block.from === 0) this.#begin(bytes);
    if (this.#summarizer === undefined) return false;
    this.#blocks[index] = { ...block, pages: this.#summarizer.summarize(bytes, block.from === 0) };
    return true;
  }

  #begin(bytes: Uint8Array): void {
    const before = this.header;
    // A copy: the caller reads the next block into the same buffer.
    this.#start = new Uint8Array(bytes.subarray(0, fileHeaderSize));
    const header = this.header;
    // Other sizes of pages make other pages.
    if (before?.pageSize !== header?.pageSize || before?.usable !== header?.usable) this.#blocks = [];
    this.#summarizer = header && new PageSummarizer(header);
  }

  /** The summaries of all pages, one after the other, and where that of each page begins; page 1 is the first. */
  pages(): { summaries: Uint8Array; starts: Uint32Array } {
    const blocks = this.#blocks.map((block) => block!.pages);
    const summaries = Buffer.concat(blocks);
    const pageSize = this.header?.pageSize ?? 1;
    const starts = new Uint32Array(Math.floor((this.#blocks.at(-1)?.to ?? 0) / pageSize) + 1);
    const reader = new NumberReader(summaries);
    for (let page = 1; page < starts.length; page += 1) {
      starts[page] = reader.at;
      skipSummary(reader);
    }
    return { summaries, starts };
  }

  /** For `load`. */
  save(): Uint8Array {
    const blocks = this.#blocks.map((block) => block && [block.id, block.from, block.to, block.pages.length]);
    const start = Buffer.from(this.#start).toString('base64');
    const index = Buffer.from(JSON.stringify({ format, start, blocks }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(index.length);
    return Buffer.concat([length, index, ...this.#blocks.flatMap((block) => block?.pages ?? [])]);
  }

  /** @returns without any summary if they are of another version of the app */
  static load(saved: Buffer): SummarizedFile {
    const file = new SummarizedFile();
    let at = 4 + saved.readUInt32BE(0);
    const index = JSON.parse(saved.toString('utf8', 4, at)) as SavedIndex;
    if (index.format !== format) return file;
    file.#begin(Buffer.from(index.start, 'base64'));
    file.#blocks = index.blocks.map((block) => {
      if (block === null) return undefined;
      const [id, from, to, length] = block;
      at += length;
      return { id, from, to, pages: saved.subarray(at - length, at) };
    });
    return file;
  }
}

interface SavedIndex {
  format: number;
  start: string;
  blocks: ([id: string, from: number, to: number, length: number] | null)[];
}
