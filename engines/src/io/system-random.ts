// The machine's source of chance, good enough for identities.

import { randomBytes } from "node:crypto"
import type { Random } from "./random.ts"

export class SystemRandom implements Random {
  bytes(count: number): Uint8Array {
    return new Uint8Array(randomBytes(count))
  }
}
