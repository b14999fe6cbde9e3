import { describe, expect, test } from "vitest"
import { answeredBytes, readBody, readPage } from "./answer.ts"

async function* body(...lengths: number[]): AsyncGenerator<Uint8Array> {
  for (const [i, length] of lengths.entries()) yield new Uint8Array(length).fill(i + 1)
}

describe("answers", () => {
  test("a body is its pieces", async () => {
    expect(await readBody(body(2, 0, 1), 3)).toEqual(new Uint8Array([1, 1, 3]))
  })

  test.each([
    ["short", [2], "ended after 2 of 3"],
    ["long", [2, 2], "more than the 3"],
  ])("a body that is too %s is not believed", async (_, lengths, why) => {
    await expect(readBody(body(...lengths), 3)).rejects.toThrow(why)
  })

  test("a range that ends behind the object is answered with what there is", () => {
    const range = { offset: 4, bytes: 10 }
    expect(answeredBytes({ ContentLength: 6, ContentRange: "bytes 4-9/10" }, range, 100)).toBe(6)
  })

  test.each([
    [{ ContentLength: 6 }, "range"],
    [{ ContentLength: 6, ContentRange: "bytes */10" }, "range"],
    [{ ContentLength: 6, ContentRange: "bytes 3-8/10" }, "bytes 3-8/10"],
    [{ ContentLength: 5, ContentRange: "bytes 4-8/10" }, "asked for 6 bytes from 4 on"],
    [{ ContentLength: 5, ContentRange: "bytes 4-9/10" }, "asked for 6 bytes from 4 on"],
    [{ ContentRange: "bytes 4-9/10" }, "how long"],
  ])("%j is no answer to bytes 4 to 9 of 10", (answer, why) => {
    expect(() => answeredBytes(answer, { offset: 4, bytes: 6 }, 100)).toThrow(why)
  })

  test("a page is what it lists, and where the next one begins", () => {
    const LastModified = new Date(5)
    const page = {
      Contents: [{ Key: "a", Size: 1, LastModified }],
      IsTruncated: true,
      NextContinuationToken: "t",
    }
    expect(readPage(page)).toEqual({ objects: [{ key: "a", bytes: 1, modifiedMs: 5 }], next: "t" })
    expect(readPage({ IsTruncated: false })).toEqual({ objects: [], next: undefined })
  })

  test.each([
    [{}, "no listing"],
    [{ IsTruncated: true }, "goes on"],
    [{ IsTruncated: false, Contents: [{ Key: "a", Size: 1 }] }, "age"],
  ])("%j is no page of a listing", (page, why) => {
    expect(() => readPage(page)).toThrow(why)
  })

  test("more bytes than allowed are not read", () => {
    expect(answeredBytes({ ContentLength: 100 }, undefined, 100)).toBe(100)
    expect(() => answeredBytes({ ContentLength: 101 }, undefined, 100)).toThrow("at most 100")
  })
})
