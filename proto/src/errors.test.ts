import { readFileSync } from "node:fs"
import { status } from "@grpc/grpc-js"
import { expect, test } from "vitest"
import { decodeErrorDetails, encodeErrorDetails, errorTrailer, varveErrorOf } from "./error-details.ts"
import { errorTable, isReason, isVarveError, type Reason, VarveError } from "./errors.ts"

const details = { code: 3, message: "the key is empty", reason: "KEY_EMPTY", metadata: { limit: "1" } }

test("error table: codes are gRPC's, HTTP statuses are errors, no reason comes from an object's prototype", () => {
  for (const { code, httpStatus, meaning } of Object.values(errorTable)) {
    expect(Object.values(status)).toContain(code)
    expect(code).not.toBe(status.OK)
    expect(httpStatus).toBeGreaterThanOrEqual(400)
    expect(meaning.endsWith(".")).toBe(true)
  }
  expect(isReason("constructor")).toBe(false)
  expect(isReason("KEY_EMPTY")).toBe(true)
})

test("error table: the README prints it as it is", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8").replaceAll(/ +/g, " ")
  const codeNames = new Map(Object.entries(status).map(([name, code]) => [code, name]))
  for (const [reason, { code, httpStatus, retryable, meaning }] of Object.entries(errorTable)) {
    const again = retryable ? "yes" : "no"
    expect(readme).toContain(
      `| \`${reason}\` | ${codeNames.get(code)} | ${httpStatus} | ${again} | ${meaning} |`,
    )
  }
  const rows = readme.split("\n").filter((line) => /^\| `[A-Z_]+` \|/.test(line))
  expect(rows.length).toBe(Object.keys(errorTable).length)
})

test("VarveError: takes code and retryability from the table; a reason that is not there keeps the code it came with", () => {
  expect(new VarveError("OVERLOADED", "m")).toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    retryable: true,
  })
  expect(new VarveError("DATA_LOSS", "m")).toMatchObject({ code: status.DATA_LOSS, retryable: false })
  expect(new VarveError("FROM_TOMORROW", "m", { code: 9 })).toMatchObject({ code: 9, retryable: false })
  expect(isVarveError(new VarveError("KEY_EMPTY", "m"), "KEY_TOO_LARGE")).toBe(false)
})

test("error details: the bytes of the trailer are pinned and come back", () => {
  const bytes = encodeErrorDetails({ ...details, message: "m", metadata: {} })
  expect(bytes.toString("hex")).toBe(
    "0803" + // code 3
      "12016d" + // message "m"
      "1a3e" + // one detail
      `0a28${Buffer.from("type.googleapis.com/google.rpc.ErrorInfo").toString("hex")}` +
      "1212" +
      `0a09${Buffer.from("KEY_EMPTY").toString("hex")}` +
      `1205${Buffer.from("varve").toString("hex")}`,
  )
  expect(decodeErrorDetails(encodeErrorDetails(details))).toEqual(details)
})

test("error details: of another domain, of another type, damaged or too large are none", () => {
  const bytes = encodeErrorDetails(details)
  expect(
    decodeErrorDetails(Buffer.from(bytes.toString("latin1").replace("varve", "other"), "latin1")),
  ).toBeUndefined()
  expect(
    decodeErrorDetails(Buffer.from(bytes.toString("latin1").replace("ErrorInfo", "ErrorXnfo"), "latin1")),
  ).toBeUndefined()
  expect(decodeErrorDetails(bytes.subarray(0, bytes.length - 3))).toBeUndefined()
  expect(decodeErrorDetails(encodeErrorDetails({ ...details, message: "m".repeat(17_000) }))).toBeUndefined()
})

test("error of a call: its details name the reason; without them the code does", () => {
  const metadata = errorTrailer(details)
  const failed = {
    name: "",
    message: "3 INVALID_ARGUMENT: x",
    details: "x",
    code: status.INVALID_ARGUMENT,
    metadata,
  }
  expect(varveErrorOf(failed)).toMatchObject({ reason: "KEY_EMPTY", message: "x", metadata: { limit: "1" } })
  metadata.remove("grpc-status-details-bin")
  const reasons: [number, Reason][] = [
    [status.INVALID_ARGUMENT, "REQUEST_INVALID"],
    [status.UNAVAILABLE, "CONNECTION_LOST"],
    [status.DEADLINE_EXCEEDED, "DEADLINE_PASSED"],
    [status.CANCELLED, "CANCELLED"],
    [status.RESOURCE_EXHAUSTED, "OVERLOADED"],
    [status.UNIMPLEMENTED, "UNIMPLEMENTED"],
    [status.UNKNOWN, "INTERNAL"],
  ]
  for (const [code, reason] of reasons)
    expect(varveErrorOf({ ...failed, code })).toMatchObject({ reason, code })
  // In gRPC's own words.
  const inItsWords = "Received message larger than max (20000019 vs 8388608)"
  expect(varveErrorOf({ ...failed, code: status.RESOURCE_EXHAUSTED, details: inItsWords })).toMatchObject({
    reason: "MESSAGE_TOO_LARGE",
  })
})
