import { failureClasses, retryTiers, runStatuses, runTransitions } from '#libs/domain';
import { runEventNameOf, wireTypeOf, type RunEventName } from '#libs/contracts';
import { runLifecyclePage, triggersNotBuilt } from './run-lifecycle.js';

const page = runLifecyclePage();
const lines = page.split('\n');
const drawn = lines.filter((line) => line.includes(' --> '));

describe('the page about the life of a run', () => {
  it('names every state, transition, failure class and retry tier, each in a row of its own', () => {
    for (const status of runStatuses) expect(page).toContain(`| \`${status}\` |`);
    for (const name of failureClasses) expect(page).toContain(`| \`${name}\` |`);
    for (const { name } of retryTiers) expect(page).toContain(`.retry.${name}\``);
    const rows = lines.filter((line) =>
      /\| (api|processor|rescuer|support|caller) \| (yes|not yet) \|$/.test(line),
    );
    expect(rows).toHaveLength(runTransitions.length);
  });

  it('draws what is built, and nothing that is not', () => {
    for (const { from, to, trigger } of runTransitions) {
      const arrow = drawn.find((line) => line.includes(`${from ?? '[*]'} --> ${to} :`)) ?? '';
      const isDrawn = arrow.includes(trigger.replaceAll('_', ' '));
      expect([trigger, isDrawn]).toEqual([trigger, !triggersNotBuilt.includes(trigger)]);
    }
  });

  it('does not call a move built whose event no contract knows', () => {
    const built = runTransitions.filter(({ trigger }) => !triggersNotBuilt.includes(trigger));
    for (const { event } of built) {
      if (event === null) continue;
      expect([event, runEventNameOf(wireTypeOf(event as RunEventName) ?? '')]).toEqual([
        event,
        event,
      ]);
    }
  });
});
