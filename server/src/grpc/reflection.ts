// Server reflection, v1 and v1alpha (the messages are the same): what `buf curl` and grpcurl ask before they can
// speak to the daemon.

import { type Server, status } from "@grpc/grpc-js"
import { fileDescriptorSet, reflectionV1, reflectionV1Alpha } from "@varve/proto"
import type { Log } from "../log.ts"
import { DescriptorFiles } from "./descriptor-files.ts"
import { duplexStream } from "./handlers.ts"

type Question = reflectionV1.ServerReflectionRequest
type Answer = reflectionV1.ServerReflectionResponse
type AnswerBody = Answer["messageResponse"]

/** The services that `addReflection` adds. */
export const reflectionServices = [
  reflectionV1.ServerReflectionService,
  reflectionV1Alpha.ServerReflectionService,
] as const

/** Adds both versions of the service to `server`. */
export function addReflection(server: Server, log: Log): void {
  const files = new DescriptorFiles(fileDescriptorSet)
  const handler = duplexStream<Question, Answer>(log, async (call) => {
    for await (const question of call.iterator({ destroyOnReturn: false })) {
      const request = question as Question
      call.write({
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(files, request),
      })
      // One question at a time: what was asked for is taken before the next is read.
      if (call.writableNeedDrain) await drained(call)
    }
  })
  for (const service of reflectionServices) server.addService(service, { serverReflectionInfo: handler })
}

function answer(files: DescriptorFiles, { messageRequest: asked }: Question): AnswerBody {
  switch (asked?.$case) {
    case "listServices":
      return { $case: "listServicesResponse", value: { service: files.services.map((name) => ({ name })) } }
    case "fileByFilename":
      return fileAnswer(files, asked.value)
    case "fileContainingSymbol":
      return fileAnswer(files, files.fileOf(asked.value))
    case "allExtensionNumbersOfType":
    case "fileContainingExtension":
      return error(status.NOT_FOUND, "no message here has extensions")
    default:
      return error(status.INVALID_ARGUMENT, "the question is empty")
  }
}

function fileAnswer(files: DescriptorFiles, name: string | undefined): AnswerBody {
  const found = name === undefined ? undefined : files.withDependencies(name)
  if (found === undefined) return error(status.NOT_FOUND, "no such file or symbol")
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: found.map(({ bytes }) => bytes) } }
}

function error(errorCode: number, errorMessage: string): AnswerBody {
  return { $case: "errorResponse", value: { errorCode, errorMessage } }
}

async function drained(call: {
  once(event: "drain" | "cancelled", listener: () => void): unknown
}): Promise<void> {
  await new Promise<void>((resolve) => {
    call.once("drain", resolve)
    call.once("cancelled", resolve)
  })
}
