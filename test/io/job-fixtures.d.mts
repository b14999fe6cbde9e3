import type { Job } from "@varve/engines/internal"

export const whereAmI: Job<null, { isMainThread: boolean; threadId: number }>
export const sum: Job<readonly number[], number>
export const increment: Job<Uint8Array, { bytes: Uint8Array; middle: Uint8Array; pooled: Uint8Array }>
export const meddle: Job<{ list: string[] }, { list: string[]; keptBytes: number }>
export const fail: Job<"engine" | "string" | "bug", never>
export const die: Job<"exit" | "throw", never>
export const useContext: Job<
  { url: string; directory: string },
  { isNew: boolean; isSameStore: boolean; names: string[]; nowMs: number }
>
export const sleep: Job<number, number>
export const readOn: Job<{ path: string; startedPath: string; endedPath: string }, never>
export const misnamed: Job<null, number>
