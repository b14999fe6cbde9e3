import { describe, expect, test } from "vitest"
import { isEngineError } from "../../base/error.ts"
import { formatS3Url, parseS3Url } from "./location.ts"

describe("s3: URLs", () => {
  test.each([
    ["s3://bucket", { bucket: "bucket", prefix: "", writers: "many" }, "s3://bucket"],
    ["S3://bucket/", { bucket: "bucket", prefix: "", writers: "many" }, "s3://bucket"],
    [
      "s3://my.bucket-1/a/b.c/",
      { bucket: "my.bucket-1", prefix: "a/b.c/", writers: "many" },
      "s3://my.bucket-1/a/b.c",
    ],
    [
      "s3://bucket/a?region=eu-central-1&writers=one&forcePathStyle=false&endpoint=http://127.0.0.1:9000/",
      {
        bucket: "bucket",
        prefix: "a/",
        endpoint: "http://127.0.0.1:9000",
        region: "eu-central-1",
        forcePathStyle: false,
        writers: "one",
      },
      "s3://bucket/a?endpoint=http://127.0.0.1:9000&region=eu-central-1&forcePathStyle=false&writers=one",
    ],
    [
      "s3://bucket?endpoint=https%3A%2F%2Fhost%2Fa%2520b",
      { bucket: "bucket", prefix: "", endpoint: "https://host/a%20b", writers: "many" },
      "s3://bucket?endpoint=https://host/a%2520b",
    ],
  ])("%s is understood, and written in one way", (url, location, written) => {
    expect(parseS3Url(url)).toEqual(location)
    expect(formatS3Url(parseS3Url(url))).toBe(written)
    expect(parseS3Url(written)).toEqual(location)
  })

  test.each([
    ["s3:bucket", "s3://BUCKET"],
    ["s3://", "bucket's name"],
    ["s3://ab", "bucket's name"],
    ["s3://Bucket", "bucket's name"],
    ["s3://bucket#part", "s3://BUCKET"],
    ["s3://bucket/a//b", "prefix"],
    ["s3://bucket/../b", "prefix"],
    ["s3://bucket/a%20b", "prefix"],
    [`s3://bucket/${"a/".repeat(300)}`, "prefix"],
    ["s3://bucket?bucket=x", "no setting bucket; allowed: endpoint, region"],
    ["s3://bucket?region=a&region=b", "region is there twice"],
    ["s3://bucket?region=eu west", "region"],
    ["s3://bucket?endpoint=host:9000", "endpoint"],
    ["s3://bucket?endpoint=ftp://host", "endpoint"],
    ["s3://bucket?endpoint=http://host?x=1", "endpoint"],
    ["s3://bucket?forcePathStyle=yes", "true or false"],
    ["s3://bucket?writers=two", "one or many"],
    [`s3://bucket?${"a".repeat(5000)}`, "4096"],
  ])("%s is refused", (url, why) => {
    expect(() => parseS3Url(url)).toThrow(why)
  })

  test.each([
    "s3://KEY:HIDDEN@bucket/a",
    "s3://bucket?endpoint=http://KEY:HIDDEN@host",
    "s3://bucket?secretAccessKey=HIDDEN",
    "s3://bucket?HIDDEN/KEY=1",
    "s3://bucket/HIDDEN KEY",
  ])("%s is refused without being repeated: it may hold a secret", (url) => {
    let thrown: unknown
    try {
      parseS3Url(url)
    } catch (error) {
      thrown = error
    }
    expect(isEngineError(thrown, "REPOSITORY_URL_INVALID")).toBe(true)
    expect(String(thrown)).not.toContain("HIDDEN")
  })
})
