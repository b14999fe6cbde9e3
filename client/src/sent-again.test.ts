import { status } from "@grpc/grpc-js"
import { RecordWriter, VarveError } from "@varve/proto"
import { expect, test } from "vitest"
import type { Connection } from "./connection.ts"
import { Fifo } from "./fifo.ts"
import { Frame } from "./frame.ts"
import { WriteCall } from "./point-call.ts"

/** What a set is told whose partition has another owner. */
async function told(mayBeApplied: boolean): Promise<unknown> {
  const lane = {
    ...{
      partition: 0,
      connection: undefined as unknown as Connection,
      openFrame: undefined,
      waiting: new Fifo<Frame>(),
    },
    ...{ frameCount: 1, handedOver: 1, lastSequence: 1, unanswered: [] },
  }
  const records = new RecordWriter()
  records.add(Buffer.from("k"), Buffer.from("v"))
  const frame = new Frame(lane, "operations", records)
  frame.mayBeApplied = mayBeApplied
  const set = new Promise<void>((resolve, reject) =>
    frame.add(new WriteCall(0, 1000, undefined, resolve, reject)),
  )
  const writesError = { code: status.FAILED_PRECONDITION, reason: "OWNER_FENCED", message: "another owner" }
  frame.answerOperations({ values: new Uint8Array(0), written: 0, errors: [], writesError })
  return set.then(
    () => undefined,
    (error: unknown) => error,
  )
}

test("a refusal that cannot know whether the write was applied before says so", async () => {
  const first = await told(false)
  expect(first).toBeInstanceOf(VarveError)
  expect(first).toMatchObject({ reason: "OWNER_FENCED", message: "another owner" })
  expect(await told(true)).toMatchObject({
    reason: "OWNER_FENCED",
    message: expect.stringMatching(/^another owner; .* may or may not have been applied$/),
  })
})
