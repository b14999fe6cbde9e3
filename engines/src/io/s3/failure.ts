// What an S3 request's error means: whether the same request may succeed when it is sent again, and what a person
// can do about it. Errors of the SDK hold the request with its signature, so they are read here and go no further.
//
//   no answer, or one of a server in trouble        again; it may have been carried out all the same
//   anything else                                   final

import { systemCode } from "../storage-error.ts"
import type { S3Location } from "./location.ts"

/** The request was answered, but not as the protocol says: the body is short, or of another range. */
export class AnswerError extends Error {
  override readonly name = "AnswerError"
}

/** The HTTP status of the answer; undefined when there was none. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = error as {
    $metadata?: { httpStatusCode?: unknown }
    $response?: { statusCode?: unknown }
  }
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  return typeof status === "number" ? status : undefined
}

/** The code of the answer (`NoSuchKey`), of the system (`ECONNRESET`), or the name of the error. */
export function codeOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.name : "UnknownError")
}

const STATUSES_AGAIN: readonly number[] = [408, 409, 425, 429, 500, 502, 503, 504]
/** Answers with another status that pass by themselves. */
const CODES_AGAIN: readonly string[] = [
  "AbortError",
  "AnswerError",
  "RequestTimeout",
  "RequestTimeTooSkewed",
  "SlowDown",
  "Throttling",
  "TimeoutError",
]
const CODES_OF_SYSTEM = /^E(?!RR_)[A-Z_]{2,}$|^ERR_STREAM_PREMATURE_CLOSE$/

/** True when the same request may succeed later. It may also have been carried out, and the answer got lost. */
export function mayTryAgain(error: unknown): boolean {
  const code = codeOf(error)
  // The system's code stands also where an answer has begun, and its body was cut.
  if (CODES_AGAIN.includes(code) || CODES_OF_SYSTEM.test(code)) return true
  const status = statusOf(error)
  return status !== undefined && (STATUSES_AGAIN.includes(status) || status < 300)
}

/** True when the store has no room, or the bucket's quota is used up. */
export function isFull(error: unknown): boolean {
  return (
    statusOf(error) === 507 || /^(?:QuotaExceeded|XMinio\w*Full|InsufficientStorage)$/.test(codeOf(error))
  )
}

/** True when nothing was asked, since nobody has said in which region the bucket is. */
export function hasNoRegion(error: unknown): boolean {
  return error instanceof Error && /region is missing/i.test(error.message)
}

const CODES_OF_CREDENTIALS =
  /^(?:InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired|InvalidSecurity|CredentialsProviderError)$/
const CODES_OF_REGION =
  /^(?:PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/

/** Of what the store or the system says. */
const WORDS_CHARACTERS_MAX = 300

/** One line for a person: what went wrong with `action` (`s3:GetObject`), and what to do. */
export function explain(error: unknown, action: string, location: S3Location): string {
  const code = codeOf(error)
  const words = wordsOf(error)
  const { bucket, prefix, endpoint } = location
  const status = statusOf(error)
  const where = endpoint ?? "this endpoint"
  if (code === "AbortError" || code === "TimeoutError") return `no answer in time from ${where}`
  if (code === "NoSuchBucket") return `there is no bucket ${bucket} at ${where}: make it, or mend the URL`
  if (code === "CredentialsProviderError") {
    return `there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of Amazon's SDK`
  }
  if (CODES_OF_CREDENTIALS.test(code)) return `the credentials are not accepted (${code}${words})`
  if (CODES_OF_REGION.test(code) || status === 301 || status === 307) {
    return `the bucket ${bucket} is in another region (${code}${words}): set region in the URL, or AWS_REGION`
  }
  if (hasNoRegion(error)) return "there is no region: set region in the URL, or AWS_REGION"
  if (status === 401 || status === 403) {
    const resource = action === "s3:ListBucket" ? bucket : `${bucket}/${prefix}*`
    return `access is denied (${code}${words}): the credentials need ${action} on ${resource}, and s3:ListBucket on ${bucket}`
  }
  return `${status === undefined ? "" : `status ${status}, `}${code}${words}`
}

/** What the error adds to its code; nothing, where it only says the code again. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error) || error.message === "" || error.message === "UnknownError") return ""
  return `: ${error.message.split("\n", 1)[0]!.slice(0, WORDS_CHARACTERS_MAX)}`
}
