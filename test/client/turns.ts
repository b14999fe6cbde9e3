// Waiting for what both ends of a connection in this process do by themselves.

/** How many times the event loop polls its sockets: more than any exchange between client and daemon needs. */
const TURNS = 25

/**
 * Resolves when everything that is under way between sockets of this process has arrived. It counts turns of the
 * event loop: a process that was kept from running for a while has waited, and has met nothing.
 */
export async function turns(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setTimeout(resolve, 1))
}
