// Objects in an S3 bucket: key `a/b/c` is the object `<prefix>a/b/c`. Any store with Amazon's protocol will do, if it
// keeps `If-None-Match: *` and lists what was created before; `prove-object-store.ts` finds out.
//
// create, whose answer may get lost after the object was made:
//
//   PUT, If-None-Match: *, own random name in the metadata, SHA-256 of the body in the signature
//     200 ─► true        no answer, 409, 5xx ─► the same again
//     412 ─► HEAD: own name ─► true, another ─► false
//
// The name is asked for at the first attempt too: a proxy on the way may have sent the request twice (nginx does so with
// a PUT when one of its servers does not answer).
//
// A pack has at most 32 MiB, or one chunk of 256 MiB: one PUT each, which is atomic; parts of an upload would not be.
//
// get, whose body may end early: its length is compared with the header, and the header with the range asked for;
// what does not fit is asked for again.

import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import type { S3Client } from "@aws-sdk/client-s3"
import { assert } from "../../base/assert.ts"
import { EngineError } from "../../base/error.ts"
import type { JobContext } from "../executor.ts"
import { isObjectKey, OBJECT_KEY_BYTES_MAX } from "../object-key.ts"
import type { ObjectStore, ObjectSummary } from "../object-store.ts"
import type { Random } from "../random.ts"
import type { RequestFigures, RequestOperation } from "../request-figures.ts"
import { answeredBytes, readBody, readPage } from "./answer.ts"
import { S3Calls } from "./calls.ts"
import { AnswerError, codeOf, statusOf } from "./failure.ts"
import { type S3Limits, s3Limits } from "./limits.ts"
import { formatS3Url, parseS3Url, type S3Location, type S3Writers } from "./location.ts"
import { loadS3Sdk, makeClient, type S3Sdk } from "./sdk.ts"

/** Who wrote an object: random, new for each call of `create`. */
const WRITER = "varve-writer"
const WRITER_BYTES = 16
/** Up to here the parts of an object are copied into one, which is cheaper than a stream. */
const COPIED_BYTES_MAX = 256 * 1024

const operations: Readonly<Record<string, RequestOperation>> = {
  "s3:GetObject": "get",
  "s3:PutObject": "create",
  "s3:ListBucket": "list",
  "s3:DeleteObject": "remove",
}

/** What it reaches besides the network; `requests` hears of attempts that were repeated. */
type S3Seams = Pick<JobContext, "clock" | "random"> & { readonly requests?: RequestFigures }

/** An ObjectStore over a bucket. */
export class S3ObjectStore implements ObjectStore {
  readonly url: string
  readonly #location: S3Location
  readonly #sdk: S3Sdk
  readonly #client: S3Client
  readonly #calls: S3Calls
  readonly #random: Random
  readonly #limits: S3Limits

  private constructor(location: S3Location, sdk: S3Sdk, seams: S3Seams, limits: S3Limits) {
    this.url = formatS3Url(location)
    this.#location = location
    this.#sdk = sdk
    this.#client = makeClient(sdk, location, limits)
    const { clock, random, requests } = seams
    const onRetry = (action: string): void => requests?.retried(operations[action]!)
    this.#calls = new S3Calls({ location, clock, random, limits, onRetry })
    this.#random = seams.random
    this.#limits = limits
  }

  /**
   * Opens the store at `url`; asks nothing of it yet.
   * @throws (rejects) EngineError `REPOSITORY_URL_INVALID`; `REPOSITORY_FAILED` without `@aws-sdk/client-s3`
   */
  static async open(url: string, seams: S3Seams, limits: S3Limits = s3Limits): Promise<S3ObjectStore> {
    const location = parseS3Url(url)
    return new S3ObjectStore(location, await loadS3Sdk(), seams, limits)
  }

  /** Who else may write below the prefix. */
  get writers(): S3Writers {
    return this.#location.writers
  }

  async get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined> {
    assert(range === undefined || (range.offset >= 0 && range.bytes >= 0), "the range is not negative")
    // No range of HTTP is empty.
    if (range?.bytes === 0) return (await this.get(key, { ...range, bytes: 1 }))?.subarray(0, 0)
    const input = {
      ...this.#place(key),
      ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.bytes - 1}` }),
    }
    return this.#calls.run("s3:GetObject", async (signal) => {
      try {
        const answer = await this.#client.send(new this.#sdk.GetObjectCommand(input), { abortSignal: signal })
        const bytes = answeredBytes(answer, range, this.#limits.objectBytesMax)
        return await readBody(answer.Body, bytes)
      } catch (error) {
        if (codeOf(error) === "NoSuchKey") return undefined
        // The object ends before the range.
        if (statusOf(error) === 416 && range !== undefined) return new Uint8Array(0)
        throw error
      }
    })
  }

  async create(key: string, parts: readonly Uint8Array[]): Promise<boolean> {
    const place = this.#place(key)
    const writer = Buffer.from(this.#random.bytes(WRITER_BYTES)).toString("hex")
    // With one writer the store may ignore the condition, and nobody creates the object after it was asked for.
    let isAbsent = this.#location.writers === "many"
    return this.#calls.run("s3:PutObject", async (signal) => {
      if (!isAbsent && (await this.#writerOf(place, signal)) !== undefined) return false
      isAbsent = true
      try {
        await this.#put(place, parts, writer, signal)
        return true
      } catch (error) {
        if (statusOf(error) !== 412) throw error
      }
      const found = await this.#writerOf(place, signal)
      if (found === undefined) throw new AnswerError(`${key} was there and is gone`)
      return found === writer
    })
  }

  async list(prefix: string): Promise<ObjectSummary[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1)
    assert(folder === "" || isObjectKey(folder.slice(0, -1)), "the folders of a prefix are segments of a key")
    return this.#list(prefix)
  }

  async remove(key: string): Promise<void> {
    const place = this.#place(key)
    await this.#calls.run("s3:DeleteObject", async (signal) => {
      try {
        await this.#client.send(new this.#sdk.DeleteObjectCommand(place), { abortSignal: signal })
      } catch (error) {
        if (codeOf(error) !== "NoSuchKey") throw error
      }
    })
  }

  async close(): Promise<void> {
    this.#calls.close()
    this.#client.destroy()
  }

  async #put(
    place: { Bucket: string; Key: string },
    parts: readonly Uint8Array[],
    writer: string,
    signal: AbortSignal,
  ): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    const hash = createHash("sha256")
    for (const part of parts) hash.update(part)
    const command = new this.#sdk.PutObjectCommand({
      ...place,
      Body: bytes <= COPIED_BYTES_MAX ? Buffer.concat(parts) : Readable.from(parts),
      ContentLength: bytes,
      ContentType: "application/octet-stream",
      IfNoneMatch: "*",
      Metadata: { [WRITER]: writer },
    })
    // Signed with the request, so every store compares it with the body that it got.
    const contentHash = hash.digest("hex")
    command.middlewareStack.add(
      (next) => (call) => {
        const { headers } = call.request as { headers: Record<string, string> }
        headers["x-amz-content-sha256"] = contentHash
        return next(call)
      },
      { step: "build", name: "contentHash" },
    )
    const { ETag } = await this.#client.send(command, { abortSignal: signal })
    // Then it may be somebody else's answer on the way; the next attempt finds out.
    if (ETag === undefined) throw new AnswerError("the answer does not say that the object was made")
  }

  /** Whose an object is; empty when it was not made here, undefined when there is none. */
  async #writerOf(place: { Bucket: string; Key: string }, signal: AbortSignal): Promise<string | undefined> {
    try {
      const answer = await this.#client.send(new this.#sdk.HeadObjectCommand(place), { abortSignal: signal })
      return answer.Metadata?.[WRITER] ?? ""
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw error
    }
  }

  async #list(prefix: string): Promise<ObjectSummary[]> {
    const { bucket, prefix: root } = this.#location
    const found: ObjectSummary[] = []
    let token: string | undefined
    do {
      const input = {
        Bucket: bucket,
        Prefix: root + prefix,
        MaxKeys: this.#limits.pageObjects,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }
      const { objects, next } = await this.#calls.run("s3:ListBucket", async (signal) => {
        const command = new this.#sdk.ListObjectsV2Command(input)
        return readPage(await this.#client.send(command, { abortSignal: signal }))
      })
      for (const object of objects) {
        const key = object.key.slice(root.length)
        if (object.key.startsWith(root) && isObjectKey(key)) found.push({ ...object, key })
      }
      if (found.length > this.#limits.listedMax || (next !== undefined && next === token)) {
        throw new EngineError(
          "REPOSITORY_FAILED",
          `repository ${this.url}: the listing of ${prefix} does not end`,
        )
      }
      token = next
    } while (token !== undefined)
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  #place(key: string): { Bucket: string; Key: string } {
    assert(isObjectKey(key), "an object key is made of allowed segments")
    const { bucket, prefix } = this.#location
    assert(prefix.length + key.length <= OBJECT_KEY_BYTES_MAX, "an object key fits behind the prefix")
    return { Bucket: bucket, Key: prefix + key }
  }
}
