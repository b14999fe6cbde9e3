// The door for sister packages (server, test): parts that are no promise to users.

export * from "./base/record.ts"
export * from "./base/key-hash.ts"
export * from "./io/clock.ts"
export * from "./io/executor.ts"
export * from "./io/file-system.ts"
export * from "./io/object-store.ts"
export * from "./io/random.ts"
export * from "./io/seams.ts"
export * from "./runs/run.ts"
export * from "./snapshots/manifest.ts"
