// Which files are kept of the formats of today.

import { recordSamples } from "./record-samples.ts"
import { repositorySamples } from "./repository-samples.ts"
import type { Sample } from "./sample.ts"

/** Of all formats together: it goes up when one of them changes, and names the folder of their files. */
export const GENERATION = 2

export const samples: readonly Sample[] = [...recordSamples, ...repositorySamples]
