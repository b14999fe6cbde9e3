// Amazon's SDK, loaded when an s3: repository is opened and not before: programs that keep versions in a directory
// need not install it. Loading it takes time and memory of each thread that does.

import type { S3Client } from "@aws-sdk/client-s3"
import { EngineError } from "../../base/error.ts"
import { systemCode } from "../storage-error.ts"
import type { S3Limits } from "./limits.ts"
import type { S3Location } from "./location.ts"

export type S3Sdk = typeof import("@aws-sdk/client-s3")

const PACKAGE = "@aws-sdk/client-s3"
/** What every store without regions of its own takes. */
const REGION_DEFAULT = "us-east-1"
const ENDPOINT_VARIABLES = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
const REGION_VARIABLES = ["AWS_REGION", "AWS_DEFAULT_REGION"]
/** What is worth telling is in the errors; without a logger of its own the SDK writes to the terminal. */
const nothing = (): void => undefined
const silence = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

/** @throws (rejects) EngineError `REPOSITORY_FAILED` when the package is not installed */
export async function loadS3Sdk(): Promise<S3Sdk> {
  try {
    return await import("@aws-sdk/client-s3")
  } catch (error) {
    if (systemCode(error) !== "ERR_MODULE_NOT_FOUND") throw error
    throw new EngineError(
      "REPOSITORY_FAILED",
      `s3: repositories need the package ${PACKAGE}: npm install ${PACKAGE}`,
      { cause: error },
    )
  }
}

/** A client with credentials, region and endpoint of the environment, as far as the location does not say. */
export function makeClient(sdk: S3Sdk, location: S3Location, limits: S3Limits): S3Client {
  const { endpoint } = location
  const hasEndpoint = endpoint !== undefined || isSet(ENDPOINT_VARIABLES)
  const region = location.region ?? (hasEndpoint && !isSet(REGION_VARIABLES) ? REGION_DEFAULT : undefined)
  const agent = { keepAlive: true, maxSockets: limits.requestsMax }
  return new sdk.S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    forcePathStyle: location.forcePathStyle ?? hasEndpoint,
    maxAttempts: 1,
    logger: silence,
    // Bodies are signed, and checked by those who asked for them; further checksums are not known to every store.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: limits.connectMs,
      socketTimeout: limits.silenceMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  })
}

function isSet(names: readonly string[]): boolean {
  return names.some((name) => (process.env[name] ?? "") !== "")
}
