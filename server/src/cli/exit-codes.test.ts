// Exit codes are stable: this table pins what scripts compare.

import { errorTable, type Reason, VarveError } from "@varve/proto"
import { expect, test } from "vitest"
import {
  describeExitCodes,
  exitCodeOf,
  exitCodeOfStart,
  exitCodes,
  OfflineError,
  UsageError,
} from "./exit-codes.ts"

test.each([
  ["SNAPSHOT_NOT_FOUND", 1],
  ["STORE_UNKNOWN", 1],
  ["KEY_TOO_LARGE", 3],
  ["WRONG_PARTITION", 3],
  ["VERSION_NOT_ASCENDING", 3],
  ["VERSION_EXISTS", 3],
  ["PARTITION_OUT_OF_RANGE", 3],
  ["MESSAGE_TOO_LARGE", 3],
  ["CONNECTION_LOST", 4],
  ["DEADLINE_PASSED", 4],
  ["DATA_LOSS", 5],
  ["OVERLOADED", 6],
  ["STORAGE_FULL", 6],
  ["DIRECTORY_LOCKED", 6],
  ["SHUTTING_DOWN", 6],
  ["RESTORE_IN_PROGRESS", 6],
  ["CONDITION_FAILED", 7],
  ["ENGINE_POISONED", 70],
  ["INTERNAL", 70],
] as const)("exit codes: %s gives %i", (reason, code) => {
  expect(exitCodeOf(new VarveError(reason, "for the test"))).toBe(code)
})

test("exit codes: every reason gives a failure of the table", () => {
  const known = Object.values(exitCodes).map(({ code }) => code as number)
  for (const reason of Object.keys(errorTable)) {
    const code = exitCodeOf(new VarveError(reason, "for the test"))
    expect(known, reason).toContain(code)
    expect(code, reason).not.toBe(0)
  }
})

test("exit codes: a reason of a newer daemon goes by its gRPC code", () => {
  expect(exitCodeOf(new VarveError("NOT_YET_INVENTED", "for the test", { code: 5 }))).toBe(1)
  expect(exitCodeOf(new VarveError("NOT_YET_INVENTED", "for the test", { code: 2 }))).toBe(70)
})

test("exit codes: usage is 2, a fault is 70", () => {
  expect(exitCodeOf(new UsageError("for the test"))).toBe(2)
  expect(exitCodeOf(new TypeError("for the test"))).toBe(70)
})

test.each([
  ["DIRECTORY_LOCKED", 6],
  ["STORAGE_FULL", 6],
  ["DATA_LOSS", 5],
  ["REPOSITORY_FAILED", 70],
  ["FORMAT_NEWER", 70],
] as const)("exit codes: a start that is refused for %s ends with %i", (reason, code) => {
  expect(exitCodeOfStart(new VarveError(reason, "for the test"))).toBe(code)
})

test("exit codes: a start that fails without a reason is a fault", () => {
  expect(exitCodeOfStart(new TypeError("for the test"))).toBe(70)
})

test("exit codes: without a daemon a wrong setting is a wrong command line, and the rest stays", () => {
  const offline = (reason: Reason) => new OfflineError(Object.assign(new Error("for the test"), { reason }))
  expect(exitCodeOf(offline("REPOSITORY_URL_INVALID"))).toBe(2)
  expect(exitCodeOf(new VarveError("REPOSITORY_URL_INVALID", "for the test"))).toBe(3)
  expect(exitCodeOf(offline("REPOSITORY_FAILED"))).toBe(70)
})

test("exit codes: --help lists all of them", () => {
  const lines = describeExitCodes().split("\n")
  for (const { code, meaning } of Object.values(exitCodes)) {
    expect(lines.map((line) => line.trim())).toContain(`${code}  ${meaning}`)
  }
})
