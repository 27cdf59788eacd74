/** `npm start`: Holdfast without the demo, until Ctrl-C. */
import { untilAborted } from '../stack/interruption.js';
import { startHoldfast } from './start-holdfast.js';
import { describeStart, parseStartSettings } from './start-settings.js';
import { runSupervised } from '../stack/supervised.js';

await runSupervised(async (scene) => {
  const settings = parseStartSettings(process.env);
  const holdfast = await startHoldfast({ ...scene, settings });
  scene.log(describeStart(settings, { ...holdfast, logFolder: scene.logFolder }));
  scene.log('Ctrl-C stops it.');
  await untilAborted(scene.signal);
  scene.log('Stopping: the apps finish or put down what they hold, then the servers …');
  await holdfast.stopApps();
});
