// What to do about an error, in terms of the command line: one table by reason. A reason whose message says all
// there is to say has no line.

import type { Reason } from "@varve/proto"

const hints: Readonly<Partial<Record<Reason, string>>> = {
  VERSION_NOT_ASCENDING: "take a higher number, or leave it out: the next one is taken then",
  VERSION_EXISTS: "take a higher number, or leave it out: the next one is taken then",
  VERSION_AMBIGUOUS:
    "name the timeline with --timeline, or as TIMELINE/VERSION with --repository; `varve snapshots list` shows them",
  SNAPSHOT_NOT_FOUND: "`varve snapshots list` shows the versions that are there",
  SNAPSHOT_PINNED:
    "`varve snapshots list` shows its pins; `varve snapshots unpin VERSION --name NAME` takes one off, without --name all",
  REPLACED_STATE_NOT_FOUND: "restore a version instead: `varve snapshots list` shows them",
  KEY_EMPTY: "give a key of at least one byte",
  KEY_TOO_LARGE: "take a shorter key, such as a hash of it: a key has at most 65535 bytes",
  MESSAGE_TOO_LARGE:
    "`varve describe` shows how large a value may be; limits.messageBytesMax is a setting of the daemon",
  STORE_UNKNOWN: "name a store with --store; `varve describe` shows them",
  PARTITION_REQUIRED: "name it with --partition; `varve describe` shows the partitions",
  PARTITION_OUT_OF_RANGE: "`varve describe` shows the partitions",
  WRONG_PARTITION: "leave --partition out: the key finds its partition by itself",
  CONDITION_FAILED: "`varve get KEY` shows the present value",
  RESTORE_IN_PROGRESS: "try again when the restore is done",
  WRITES_STALLED: "try again later",
  OVERLOADED: "try again later",
  STORAGE_FULL: "make room on the disk or in the repository, then try again; reads go on",
  SHUTTING_DOWN: "try again when the daemon is back",
  ENGINE_CLOSED: "try again when the daemon is back",
  DEADLINE_PASSED: "give it longer with --timeout SECONDS, or look whether the daemon is well",
  UNIMPLEMENTED: "the daemon is older than this command, or is no Varve daemon",
  DATA_LOSS: "restore a version: `varve snapshots list` shows them",
  STORAGE_FAILED: "the daemon's log says more",
  REPOSITORY_FAILED: "the daemon's log says more",
  INTERNAL: "the daemon's log says more",
  OWNER_FENCED: "ask the other daemon, or start this one anew: it takes the partition back then",
  ENGINE_POISONED: "mend the disk, then start the daemon anew",
}

/** Where no daemon was asked: on a repository's URL. */
const offlineHints: Readonly<Partial<Record<Reason, string>>> = {
  VERSION_AMBIGUOUS: "name it as TIMELINE/VERSION; `varve snapshots list --repository URL` shows them",
  SNAPSHOT_NOT_FOUND: "`varve snapshots list --repository URL` shows the versions that are there",
  DATA_LOSS: "`varve snapshots verify --repository URL` names all that is damaged",
}

/** What to do about an error of this reason in work without a daemon; `undefined` when there is nothing to add. */
export function offlineHintFor(reason: string): string | undefined {
  return Object.hasOwn(offlineHints, reason) ? offlineHints[reason as Reason] : undefined
}

/** What to do about an error of this reason; `undefined` when there is nothing to add. */
export function hintFor(reason: string): string | undefined {
  return Object.hasOwn(hints, reason) ? hints[reason as Reason] : undefined
}
