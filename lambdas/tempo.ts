/** How long the workflows wait for the world. One place, so that a test can scale it and a reader can see it. */
export interface Tempo {
  /** Between two readings of one console, to see a sign of life. */
  readonly betweenReadingsSeconds: number;
  /** Between pages of a survey: the SDK cannot suspend while a step runs, so a long survey must rest now and then. */
  readonly restBetweenPagesSeconds: number;
  /** A command that no agent takes within this time is not run. SSM's least is 30. */
  readonly commandDeliverySeconds: number;
  readonly commandPollSeconds: number;
  /** After this a command counts as stuck. Just below delivery plus the document's own time-out: beyond that SSM says
   * DeliveryTimedOut even of a script that ran. */
  readonly commandEndSeconds: number;
  /** How long to look for the effect of a call whose answer nobody saw. EC2 and SSM are eventually consistent. */
  readonly effectVisibleSeconds: number;
  readonly powerPollSeconds: number;
  /** Before a stop or reboot that AWS had no room for is asked for again. */
  readonly throttledSeconds: number;
  /** A hung machine is switched off hard after a few minutes; longer is a case for AWS Support. */
  readonly stopSeconds: number;
  readonly startSeconds: number;
  /** From running, or from the reboot, until SSM's agent answers. A hung machine's reboot takes four minutes more. */
  readonly agentBackSeconds: number;
  /** How long a start is tried again for lack of capacity before `reconcile` goes on. */
  readonly capacitySeconds: number;
  readonly capacityPollSeconds: number;
}

export const TEMPO: Tempo = {
  betweenReadingsSeconds: 60,
  restBetweenPagesSeconds: 1,
  commandDeliverySeconds: 120,
  commandPollSeconds: 10,
  commandEndSeconds: 410,
  effectVisibleSeconds: 60,
  powerPollSeconds: 15,
  throttledSeconds: 5,
  stopSeconds: 1200,
  startSeconds: 600,
  agentBackSeconds: 1200,
  capacitySeconds: 900,
  capacityPollSeconds: 60,
};
