import { strictEqual } from "node:assert"
import { test } from "vitest"
import { STATUS_TEXT_BYTES_MAX, statusText } from "./failure.ts"

test("a status text is cut between characters", () => {
  strictEqual(Buffer.byteLength(statusText("€".repeat(2000))), STATUS_TEXT_BYTES_MAX - 1)
  strictEqual(statusText("short"), "short")
})
