// Answers, which are believed only as far as they hold together: a body as far as its headers, the range asked for and its
// length agree, a page of a listing when it is one. Something on the way may answer 200 in the store's place, and a
// listing that is taken for empty, or for whole, would make garbage of what it leaves out.

import { EngineError } from "../../base/error.ts"
import type { ObjectSummary } from "../object-store.ts"
import { AnswerError } from "./failure.ts"

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/

/**
 * How many bytes the body has to have.
 * @throws AnswerError when headers and range do not agree; EngineError `REPOSITORY_FAILED` above `bytesMax`
 */
export function answeredBytes(
  answer: { readonly ContentLength?: number | undefined; readonly ContentRange?: string | undefined },
  range: { offset: number; bytes: number } | undefined,
  bytesMax: number,
): number {
  const bytes = answer.ContentLength
  if (bytes === undefined) throw new AnswerError("the answer does not say how long it is")
  if (range !== undefined) {
    const match = CONTENT_RANGE.exec(answer.ContentRange ?? "")
    if (match === null) throw new AnswerError("the store does not answer the range that it was asked for")
    const [first, last, total] = match.slice(1).map(Number) as [number, number, number]
    const wanted = Math.min(range.bytes, total - range.offset)
    if (first !== range.offset || last - first + 1 !== wanted || bytes !== wanted) {
      throw new AnswerError(
        `asked for ${wanted} bytes from ${range.offset} on, the store answers ${answer.ContentRange}`,
      )
    }
  }
  if (bytes > bytesMax) {
    throw new EngineError(
      "REPOSITORY_FAILED",
      `an object of ${bytes} bytes was asked for; at most ${bytesMax} are read`,
    )
  }
  return bytes
}

interface Page {
  readonly IsTruncated?: boolean | undefined
  readonly NextContinuationToken?: string | undefined
  readonly Contents?: readonly Listed[] | undefined
}

interface Listed {
  readonly Key?: string | undefined
  readonly Size?: number | undefined
  readonly LastModified?: Date | undefined
}

/** What a page lists, and the token of the page behind it. @throws AnswerError when it is no page of a listing */
export function readPage({ IsTruncated, NextContinuationToken, Contents = [] }: Page): {
  readonly objects: readonly ObjectSummary[]
  readonly next: string | undefined
} {
  if (IsTruncated === undefined) throw new AnswerError("the answer is no listing")
  if (IsTruncated && !NextContinuationToken) {
    throw new AnswerError("the listing goes on, and the store does not say where")
  }
  const objects = Contents.map(({ Key, Size, LastModified }) => {
    if (Key === undefined || Size === undefined || LastModified === undefined) {
      throw new AnswerError("the listing does not say what an object's key, size or age is")
    }
    return { key: Key, bytes: Size, modifiedMs: LastModified.getTime() }
  })
  return { objects, next: IsTruncated ? NextContinuationToken : undefined }
}

/** Reads a body of `bytes`. @throws (rejects) AnswerError when it has more or fewer, the system's error when it is cut */
export async function readBody(body: unknown, bytes: number): Promise<Uint8Array> {
  const target = new Uint8Array(bytes)
  let filled = 0
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    if (filled + piece.length > bytes)
      throw new AnswerError(`the body has more than the ${bytes} bytes that it should`)
    target.set(piece, filled)
    filled += piece.length
  }
  if (filled < bytes) throw new AnswerError(`the body ended after ${filled} of ${bytes} bytes`)
  return target
}
