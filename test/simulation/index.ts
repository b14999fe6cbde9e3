// What tests take from the simulation.

export * from "./seeds.ts"
export * from "./simulated-calls.ts"
export * from "./simulated-clock.ts"
export * from "./simulated-crash.ts"
export * from "./simulated-file-system.ts"
export * from "./simulated-random.ts"
export * from "./simulated-seams.ts"
export * from "./stepped-object-store.ts"
export * from "./stop-everywhere.ts"
