import { VarveError } from "@varve/proto"
import { expect, test } from "vitest"
import { deadlinePassed } from "./no-connection.ts"

function messageOf(address: string, trouble: string): string {
  return deadlinePassed({ address, trouble: new VarveError("CONNECTION_LOST", trouble) }, "late").message
}

test("no connection: what to look at is said where the cause is known", () => {
  const refused = "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:7400"
  expect(messageOf("127.0.0.1:7400", refused)).toBe(
    `late (127.0.0.1:7400: ${refused}; is the daemon running? "varve serve" starts one, at port 7400 unless set otherwise)`,
  )
  const absent = "No connection established. Last error: connect ENOENT /run/varve.sock"
  expect(messageOf("unix:/run/varve.sock", absent)).toMatch(/\? "varve serve" starts one\)$/)
  const http = "No connection established. Last error: Error: Protocol error"
  expect(messageOf("127.0.0.1:7480", http)).toContain(
    "; this is no gRPC port: gRPC is at 7400 and HTTP at 7480",
  )
  expect(messageOf("h:7400", "connect EHOSTUNREACH")).toBe("late (h:7400: connect EHOSTUNREACH)")
  expect(deadlinePassed({ address: "h:7400", trouble: undefined }, "late").message).toBe("late")
})
