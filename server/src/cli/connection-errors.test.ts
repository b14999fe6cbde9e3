import { VarveError } from "@varve/proto"
import { expect, test } from "vitest"
import { explain } from "./connection-errors.ts"

const ADDRESS = "127.0.0.1:7400"
const refused =
  "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7400. Resolution note: "
const silent = "Deadline exceeded after 1.000s,name resolution: 0.006s,Waiting for LB pick"
const slow = "Deadline exceeded after 2.001s,name resolution: 0.006s,remote_addr=127.0.0.1:7400"

function messageOf(reason: string, message: string, effect: "reads" | "writes"): string {
  return explain(new VarveError(reason, message), ADDRESS, effect).message
}

test("connection errors: nobody there says what to do, and nothing was sent", () => {
  expect(messageOf("CONNECTION_LOST", refused, "writes")).toBe(
    'no daemon answers at 127.0.0.1:7400; start one with "varve serve", or name another with --address',
  )
})

test("connection errors: another cause is named, without grpc-js's empty note", () => {
  const message = messageOf("CONNECTION_LOST", refused.replace("ECONNREFUSED", "EHOSTUNREACH"), "reads")
  expect(message).toContain("at 127.0.0.1:7400 (connect EHOSTUNREACH 127.0.0.1:7400); start one")
})

test("connection errors: another protocol is told", () => {
  const message =
    "No connection established. Last error: Protocol error (2026-01-01T00:00:00Z). Resolution note: "
  expect(messageOf("CONNECTION_LOST", message, "writes")).toBe(
    "this is not the gRPC port: what listens at 127.0.0.1:7400 speaks another protocol",
  )
})

test("connection errors: only writes that may have been sent are in doubt", () => {
  const doubt = "may or may not have been applied"
  expect(messageOf("CONNECTION_LOST", "Connection dropped", "writes")).toContain(doubt)
  expect(messageOf("CONNECTION_LOST", "Connection dropped", "reads")).toBe("Connection dropped")
  expect(messageOf("DEADLINE_PASSED", slow, "writes")).toContain(`within 2 s; the call ${doubt}`)
  expect(messageOf("DEADLINE_PASSED", slow, "reads")).toBe("no answer from 127.0.0.1:7400 within 2 s")
  expect(messageOf("DEADLINE_PASSED", silent, "writes")).toBe("no answer from 127.0.0.1:7400 within 1 s")
})

test("connection errors: what a daemon answered stays as it is", () => {
  const error = new VarveError("KEY_EMPTY", "the key is empty")
  expect(explain(error, ADDRESS, "writes")).toBe(error)
})
