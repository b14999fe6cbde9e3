// Where an S3 repository is, written as a URL. Everything that opens it stands in the URL or in the environment, so
// that jobs on other threads open the same store:
//
//   s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&forcePathStyle=true|false&writers=one|many]
//
// Credentials have no place in it: the URL is printed, logged and answered by `Describe`. So what cannot be parsed is
// not repeated in messages either: it may hold a secret.

import { EngineError } from "../../base/error.ts"
import { isObjectKey } from "../object-key.ts"

/** `one`: nobody else writes below the prefix at any time. `many`: the store has to keep conditions. */
export const s3Writers = ["one", "many"] as const
export type S3Writers = (typeof s3Writers)[number]

export interface S3Location {
  readonly bucket: string
  /** Empty, or segments of an object key and a "/". */
  readonly prefix: string
  /** `http:` or `https:`, no "/" at the end. Absent: of the environment, else Amazon's. */
  readonly endpoint?: string
  /** Absent: of the environment. */
  readonly region?: string
  /** Whether the bucket stands in the path, not in the host's name. Absent: when there is an endpoint. */
  readonly forcePathStyle?: boolean
  readonly writers: S3Writers
}

/** What a prefix leaves of a key's 1024 bytes is more than any key takes. */
const PREFIX_BYTES_MAX = 512
const URL_BYTES_MAX = 4096
const S3_URL = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/is
/** Amazon's rule, which the others keep too. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const REGION = /^[A-Za-z0-9-]{1,64}$/
const NAMES = ["endpoint", "region", "forcePathStyle", "writers"]
/** What would end a value, or be read as something else, in a query. */
const ESCAPED = /[%&+#\s]/g

/** @throws EngineError `REPOSITORY_URL_INVALID`, with the reason and without the URL */
export function parseS3Url(url: string): S3Location {
  const match = url.length > URL_BYTES_MAX ? null : S3_URL.exec(url)
  if (match === null)
    throw invalid(`it is not s3://BUCKET/PREFIX?NAME=VALUE of at most ${URL_BYTES_MAX} bytes`)
  const [, bucket = "", path = "", query = ""] = match
  if (bucket.includes("@")) {
    throw invalid("it has credentials: take them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
  }
  if (!BUCKET.test(bucket)) throw invalid("a bucket's name is 3 to 63 of a-z, 0-9, . and -")
  const prefix = path.replace(/\/$/, "")
  if (prefix !== "" && (prefix.length > PREFIX_BYTES_MAX || !isObjectKey(prefix))) {
    throw invalid(
      `a prefix is a/b/c, segments of A-Z, a-z, 0-9, ., _ and -, at most ${PREFIX_BYTES_MAX} bytes`,
    )
  }
  return { bucket, prefix: prefix === "" ? "" : `${prefix}/`, ...parseQuery(new URLSearchParams(query)) }
}

/** The one way to write a location; `parseS3Url` gives the same location again. */
export function formatS3Url(location: S3Location): string {
  const query = [
    ...(location.endpoint === undefined
      ? []
      : [`endpoint=${location.endpoint.replace(ESCAPED, encodeURIComponent)}`]),
    ...(location.region === undefined ? [] : [`region=${location.region}`]),
    ...(location.forcePathStyle === undefined ? [] : [`forcePathStyle=${location.forcePathStyle}`]),
    ...(location.writers === "many" ? [] : [`writers=${location.writers}`]),
  ].join("&")
  const path = location.prefix === "" ? "" : `/${location.prefix.slice(0, -1)}`
  return `s3://${location.bucket}${path}${query === "" ? "" : "?"}${query}`
}

function parseQuery(query: URLSearchParams): Omit<S3Location, "bucket" | "prefix"> {
  const names = [...query.keys()]
  for (const [i, name] of names.entries()) {
    if (!NAMES.includes(name)) {
      const shown = /^[A-Za-z_-]{1,40}$/.test(name) ? `no setting ${name}` : "no such setting"
      throw invalid(`there is ${shown}; allowed: ${NAMES.join(", ")}`)
    }
    if (names.indexOf(name) !== i) throw invalid(`${name} is there twice`)
  }
  const endpoint = query.get("endpoint")
  const region = query.get("region")
  const forcePathStyle = query.get("forcePathStyle")
  const writers = query.get("writers") ?? "many"
  if (region !== null && !REGION.test(region)) throw invalid("region is a name, such as eu-central-1")
  if (forcePathStyle !== null && forcePathStyle !== "true" && forcePathStyle !== "false") {
    throw invalid("forcePathStyle is true or false")
  }
  const known = s3Writers.find((each) => each === writers)
  if (known === undefined) throw invalid(`writers is ${s3Writers.join(" or ")}`)
  return {
    ...(endpoint === null ? {} : { endpoint: parseEndpoint(endpoint) }),
    ...(region === null ? {} : { region }),
    ...(forcePathStyle === null ? {} : { forcePathStyle: forcePathStyle === "true" }),
    writers: known,
  }
}

function parseEndpoint(text: string): string {
  const endpoint = URL.canParse(text) ? new URL(text) : undefined
  if (endpoint === undefined || (endpoint.protocol !== "http:" && endpoint.protocol !== "https:")) {
    throw invalid("endpoint is http://HOST:PORT or https://HOST:PORT")
  }
  if (endpoint.username !== "" || endpoint.password !== "") throw invalid("its endpoint has credentials")
  if (endpoint.search !== "" || endpoint.hash !== "") throw invalid("endpoint is a URL without ? and #")
  return endpoint.href.replace(/\/$/, "")
}

function invalid(why: string): EngineError {
  return new EngineError("REPOSITORY_URL_INVALID", `the s3: URL of the repository is invalid: ${why}`)
}
