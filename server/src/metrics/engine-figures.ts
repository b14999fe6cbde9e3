// Figures of a partition that are one number each, taken from what its engine says of itself.

import type { Engine, EngineStatistics } from "@varve/engines"

export interface PartitionFigures extends EngineStatistics {
  readonly position: Pick<Engine["position"], "version" | "sealedMs">
}

export interface Figure {
  readonly name: string
  readonly help: string
  readonly of: (figures: PartitionFigures) => number
}

export const stateGauges: readonly Figure[] = [
  { name: "varve_records", help: "Keys that have a value.", of: ({ recordCount }) => recordCount },
  {
    name: "varve_memory_bytes",
    help: "Memory for records. With varve_index_bytes this is what to size the machine by.",
    of: ({ memoryBytes }) => memoryBytes,
  },
  {
    name: "varve_index_bytes",
    help: "Memory for the index. Grows with the number of keys.",
    of: ({ indexBytes }) => indexBytes,
  },
  {
    name: "varve_disk_bytes",
    help: "Bytes of runs of the state. Much more than the state: merges are behind.",
    of: ({ diskBytes }) => diskBytes,
  },
  {
    name: "varve_local_bytes",
    help: "How many of varve_disk_bytes are on the local disk; less after a restore, until all has been fetched.",
    of: ({ bytesLocal }) => bytesLocal,
  },
  {
    name: "varve_damaged_bytes",
    help: "How many of varve_disk_bytes the repository holds damaged: reads of them fail with DATA_LOSS. Alert above 0.",
    of: ({ bytesDamaged }) => bytesDamaged,
  },
  {
    name: "varve_poisoned",
    help: "1 when storage has failed and writes are refused (ENGINE_POISONED). Alert on it: mend the disk and start the daemon anew.",
    of: ({ isPoisoned }) => (isPoisoned ? 1 : 0),
  },
  {
    name: "varve_storage_full",
    help: "1 when the disk was full the last time something was to be written to it: snapshots fail, and writes are refused (STORAGE_FULL) once memory is full too. Alert on it: make room; it heals by itself.",
    of: ({ isStorageFull }) => (isStorageFull ? 1 : 0),
  },
]

export const versionGauges: readonly Figure[] = [
  {
    name: "varve_newest_version",
    help: "Number of the newest version that the state stands on; 0: none.",
    of: ({ position }) => position.version,
  },
  {
    name: "varve_newest_version_timestamp_seconds",
    help: "When the newest version was sealed that the state stands on; 0: there is none. The time since then is what a lost machine takes along.",
    of: ({ position }) => position.sealedMs / 1000,
  },
  {
    name: "varve_unsaved_records",
    help: "Records written since the newest version, each time they were: lost with the machine, and under durability snapshot in a crash too. Growing for long: take snapshots more often.",
    of: ({ recordsUnsaved }) => recordsUnsaved,
  },
  {
    name: "varve_unsaved_bytes",
    help: "Bytes written since the newest version: what the next snapshot has to store at most.",
    of: ({ bytesUnsaved }) => bytesUnsaved,
  },
]

export const mergeGauges: readonly Figure[] = [
  {
    name: "varve_merge_due_runs",
    help: "Runs in levels that are to be merged, those of the merge under way included. Growing for long: merges are behind, and writers will be slowed.",
    of: ({ mergeDebt }) => mergeDebt.runs,
  },
  {
    name: "varve_merge_due_bytes",
    help: "Bytes of the runs in levels that are to be merged: merges have still to read and write them.",
    of: ({ mergeDebt }) => mergeDebt.bytes,
  },
  {
    name: "varve_merge_upload_waiting_bytes",
    help: "Bytes of merged runs that are still to be uploaded. Growing: raise repository.mergeUploadBytesPerSecond.",
    of: ({ bytesMergedWaiting }) => bytesMergedWaiting,
  },
]

export const sessionGauges: readonly Figure[] = [
  {
    name: "varve_sessions",
    help: "Sessions whose frames the partition recognises when they come again. At 1024 the idlest are forgotten: more clients than that write to the partition.",
    of: ({ sessionCount }) => sessionCount,
  },
]

/** Of stores without a log they stay at 0. */
export const logGauges: readonly Figure[] = [
  {
    name: "varve_log_segments",
    help: "Segments of the log that are kept. Many for long: checkpoints fail; the log of the daemon names the cause.",
    of: ({ log }) => log?.segmentCount ?? 0,
  },
  {
    name: "varve_log_held_bytes",
    help: "Bytes of the log's segments on the local disk; a crash makes the daemon read them at the next start.",
    of: ({ log }) => log?.bytesHeld ?? 0,
  },
]

export const stateCounters: readonly Figure[] = [
  {
    name: "varve_written_records_total",
    help: "Records written, deletions among them.",
    of: ({ recordsWritten }) => recordsWritten,
  },
  {
    name: "varve_written_bytes_total",
    help: "Bytes of the records written. varve_flushed_bytes_total and varve_merged_bytes_total divided by it: write amplification.",
    of: ({ bytesWritten }) => bytesWritten,
  },
  {
    name: "varve_flushes_total",
    help: "Flushes of memory to runs.",
    of: ({ flushCount }) => flushCount,
  },
  {
    name: "varve_flushed_bytes_total",
    help: "Bytes written by flushes: what the writes cost on the disk before merging.",
    of: ({ bytesFlushed }) => bytesFlushed,
  },
  {
    name: "varve_disk_reads_total",
    help: "Reads that asked the disk. When its rate is near the read rate, give the engine more memory.",
    of: ({ diskReadCount }) => diskReadCount,
  },
  {
    name: "varve_resent_frames_total",
    help: "Frames that clients sent again, and that were answered from what is remembered of them. Many: connections break, or daemons are restarted.",
    of: ({ resentFrameCount }) => resentFrameCount,
  },
]

export const mergeCounters: readonly Figure[] = [
  { name: "varve_merges_total", help: "Merges of runs that are done.", of: ({ mergeCount }) => mergeCount },
  {
    name: "varve_merge_failures_total",
    help: "Merges that failed; they are tried again. Alert on its increase: the log names the cause.",
    of: ({ mergeFailureCount }) => mergeFailureCount,
  },
  {
    name: "varve_merge_seconds_total",
    help: "Time in which a merge ran. Its rate near 1: the partition does nothing else, and merges fall behind soon.",
    of: ({ mergingMs }) => mergingMs / 1000,
  },
  {
    name: "varve_merged_bytes_total",
    help: "Bytes written by merges; divided by varve_flushed_bytes_total: write amplification of merging.",
    of: ({ bytesMerged }) => bytesMerged,
  },
  {
    name: "varve_merge_upload_bytes_total",
    help: "Bytes of merged runs uploaded behind the snapshots; those of runs that were merged again meanwhile count too.",
    of: ({ bytesMergedStored }) => bytesMergedStored,
  },
]

export const logCounters: readonly Figure[] = [
  {
    name: "varve_log_writes_total",
    help: "Batches of records appended to the log.",
    of: ({ log }) => log?.entryCount ?? 0,
  },
  {
    name: "varve_log_bytes_total",
    help: "Bytes of the batches appended to the log.",
    of: ({ log }) => log?.bytesAppended ?? 0,
  },
  {
    name: "varve_log_syncs_total",
    help: "Syncs of the log. varve_log_writes_total divided by it: writes that share a sync.",
    of: ({ log }) => log?.syncCount ?? 0,
  },
]
