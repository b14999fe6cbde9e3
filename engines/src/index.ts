// The door for users. What is not here is no promise.

export {
  EngineError,
  type ErrorKind,
  type ErrorReason,
  errorKinds,
  errorReasons,
  isEngineError,
} from "./base/error.ts"
export { NOT_READ, ReadBudget } from "./base/read-budget.ts"
export * from "./engine.ts"
export * from "./engine-statistics.ts"
export {
  type ImageKind,
  type ImageMap,
  type ImageSummary,
  imageKinds,
  type MappedRegion,
} from "./images/image-format.ts"
export type { ImagePiece, StoredImage } from "./images/image-reader.ts"
export { type ImageListing, ImageStore, type ImageStoreOptions } from "./images/image-store.ts"
export type { ImageStored } from "./images/image-writer.ts"
export type { FileRange, RegionSource } from "./images/region-source.ts"
export type { LogFigures } from "./log/log.ts"
export { type OpenEngineOptions, openEngine } from "./open-engine.ts"
export { type OpenImageStoreOptions, openImageStore } from "./open-image-store.ts"
export { type Durability, type DurableLogSettings, durabilities } from "./partition/durable-log.ts"
export { type RestoreMode, restoreModes } from "./partition/open-runs.ts"
export type { OwnerSettings } from "./partition/partition-owner.ts"
export type { Partitioning } from "./partition/partitioning.ts"
export type { ReplacedStateRetention } from "./partition/replaced-states.ts"
export {
  BLOCK_CACHE_BYTES_DEFAULT,
  BLOCK_CACHE_BYTES_MAX,
  BlockCache,
  type BlockCacheStatistics,
} from "./runs/block-cache.ts"
export type { RunFigures } from "./runs/run.ts"
export type { ChunkCacheStatistics } from "./snapshots/chunk-cache.ts"
export type { VersionName, VersionSummary } from "./snapshots/manifest.ts"
export { Repository } from "./snapshots/repository.ts"
export type { ImageName } from "./snapshots/repository-keys.ts"
export type { RepositoryOptions } from "./snapshots/repository-options.ts"
