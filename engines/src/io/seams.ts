// The outside world, as one argument. Real ones: `systemSeams()`; simulated ones: `test/simulation`.

import type { Clock } from "./clock.ts"
import type { Executor } from "./executor.ts"
import type { FileSystem } from "./file-system.ts"
import type { Random } from "./random.ts"

export interface Seams {
  readonly fileSystem: FileSystem
  readonly clock: Clock
  readonly random: Random
  readonly executor: Executor
}
