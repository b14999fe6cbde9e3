// The contract as TypeScript: generated messages and stubs of varve.v1, the error table, the encodings of
// frames, slots. The protocols of others come as namespaces: their message names repeat between versions.

export * from "./answer-message.ts"
export * from "./error-details.ts"
export * from "./errors.ts"
export { fileDescriptorSet } from "./gen/file-descriptor-set.ts"
/** Standard health checking: `grpc.health.v1`. */
export * as health from "./gen/grpc/health/v1/health.ts"
/** Server reflection: `grpc.reflection.v1`. */
export * as reflectionV1 from "./gen/grpc/reflection/v1/reflection.ts"
/** The older name of server reflection, `grpc.reflection.v1alpha`, with the same messages. */
export * as reflectionV1Alpha from "./gen/grpc/reflection/v1alpha/reflection.ts"
export * from "./gen/varve/v1/state_backend.ts"
export * from "./record-batch.ts"
export * from "./sequence.ts"
export * from "./slot.ts"
