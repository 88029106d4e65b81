/**
 * Settings of an app that a test starts: its timer does not start runs, which would come at each quarter of an hour and
 * commit beside what the test does.
 */
export const noTimer = { SYNC_SCHEDULE: '0 0 0 1 1 *' };
