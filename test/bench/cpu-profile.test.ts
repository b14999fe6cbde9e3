import { expect, test } from "vitest"
import { type CpuProfile, threadTime } from "./cpu-profile.ts"

function frame(id: number, functionName: string, url: string): CpuProfile["nodes"][number] {
  return { id, callFrame: { functionName, url, lineNumber: 9 } }
}

test("profile: time counts to the function that runs, within the bounds, idle time apart", () => {
  const profile: CpuProfile = {
    nodes: [
      frame(1, "(idle)", ""),
      frame(2, "decode", "file:///home/x/proto/dist/record-batch.js"),
      frame(3, "", "file:///home/x/node_modules/@grpc/grpc-js/build/src/call.js"),
      frame(4, "(garbage collector)", ""),
    ],
    startTime: 1_000,
    samples: [2, 1, 2, 3, 4, 2],
    timeDeltas: [100, 50, 300, 100, 100, 800],
  }
  expect(threadTime(profile, 1_150, 1_700)).toEqual({
    busySeconds: 0.0005,
    entries: [
      { place: "decode proto/dist/record-batch.js:10", share: 0.6 },
      { place: "(anonymous) @grpc/grpc-js/build/src/call.js:10", share: 0.2 },
      { place: "(garbage collector)", share: 0.2 },
    ],
  })
})
