/** The processes of a storm: two apis and three processors, each replaced when it is struck, by one that may use conversations or not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from '../support/app-process.js';
import type { Scene } from '../support/holdfast.js';
import { conversationsDrawn } from './storm-plan.js';

export interface RunningApi {
  readonly app: AppProcess;
  readonly url: string;
}

export const apiCount = 2;
export const processorCount = 3;
/** Longer than a lease of 10 s, so that what a frozen processor held is somebody else's when it thaws. */
const frozenProcessorMs = 14_000;
const frozenApiMs = 4_000;

export class Fleet {
  readonly processors: AppProcess[] = [];

  private constructor(
    private readonly scene: Scene,
    readonly apis: RunningApi[],
    private readonly conversations: Generator<'background' | 'off', never>,
  ) {}

  /** @param seed decides which processors send on conversations */
  static async start(scene: Scene, seed: number): Promise<Fleet> {
    const first = { app: scene.api, url: scene.apiUrl };
    const fleet = new Fleet(scene, [first], conversationsDrawn(seed));
    const started = Array.from({ length: processorCount }, () => fleet.startProcessor());
    fleet.processors.push(...(await Promise.all(started)));
    await fleet.addApi();
    return fleet;
  }

  /** Where callers may ask at this moment. */
  get urls(): readonly string[] {
    return this.apis.map(({ url }) => url);
  }

  processorAt(pick: number): AppProcess {
    return this.processors[Math.floor(pick * this.processors.length)]!;
  }

  async killApi(pick: number): Promise<void> {
    const [victim] = this.apis.splice(Math.floor(pick * this.apis.length), 1);
    await victim?.app.killHard();
    await this.addApi();
  }

  async freezeApi(pick: number): Promise<void> {
    const { app } = this.apis[Math.floor(pick * this.apis.length)]!;
    app.freeze();
    await sleep(frozenApiMs);
    app.thaw();
  }

  async freezeProcessor(pick: number): Promise<void> {
    const processor = this.processorAt(pick);
    processor.freeze();
    await sleep(frozenProcessorMs);
    processor.thaw();
  }

  /** SIGTERM; another takes its place. */
  async drainProcessor(pick: number): Promise<void> {
    const processor = this.processorAt(pick);
    await processor.stop();
    await this.replace(processor);
  }

  async replace(processor: AppProcess): Promise<void> {
    const place = this.processors.indexOf(processor);
    this.processors[place] = await this.startProcessor();
  }

  private startProcessor(): Promise<AppProcess> {
    return this.scene.startProcessor({ OPENAI_CONVERSATIONS: this.conversations.next().value });
  }

  private async addApi(): Promise<void> {
    const { app, url } = await this.scene.startApi();
    this.apis.push({ app, url: url! });
  }
}
