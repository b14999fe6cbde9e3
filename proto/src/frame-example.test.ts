// The README shows frames in bytes; here they are shown to be right.

import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { PipelineRequest, PipelineResponse } from "./gen/varve/v1/state_backend.ts"
import { encodeKeys, encodeRecords, encodeValues, RecordWriter } from "./record-batch.ts"
import { UNSEQUENCED } from "./sequence.ts"

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

test("README: the frames in hex are what the code writes", () => {
  const operations = new RecordWriter()
  operations.add(bytes("a"), bytes("z"))
  operations.addRead(bytes("a"))
  operations.addRead(bytes("b"))
  const frames = [
    PipelineRequest.encode({
      id: 1,
      store: "default",
      partition: 2,
      work: {
        $case: "writes",
        value: encodeRecords([
          { key: bytes("a"), value: bytes("xyz") },
          { key: bytes("b"), value: bytes("") },
        ]),
      },
      lineage: "",
      ...UNSEQUENCED,
    }),
    PipelineRequest.encode({
      id: 2,
      store: "default",
      partition: 2,
      work: { $case: "reads", value: encodeKeys([bytes("a"), bytes("b")]) },
      lineage: "",
      ...UNSEQUENCED,
    }),
    PipelineRequest.encode({
      id: 3,
      store: "default",
      partition: 2,
      work: {
        $case: "conditionalWrites",
        value: {
          records: encodeRecords([{ key: bytes("a"), value: bytes("w") }]),
          expected: encodeRecords([
            { key: bytes("a"), value: bytes("xyz") },
            { key: bytes("b"), value: bytes("") },
          ]),
        },
      },
      lineage: "",
      ...UNSEQUENCED,
    }),
    PipelineRequest.encode({
      id: 4,
      store: "default",
      partition: 2,
      work: { $case: "operations", value: operations.take() },
      lineage: "",
      ...UNSEQUENCED,
    }),
    PipelineRequest.encode({
      id: 5,
      store: "default",
      partition: 2,
      work: { $case: "writes", value: encodeRecords([{ key: bytes("a"), value: bytes("v") }]) },
      lineage: "",
      session: Uint8Array.from({ length: 16 }, (_, i) => i),
      sequence: 3n,
      unanswered: 1,
      resent: true,
    }),
    PipelineResponse.encode({ id: 1, result: { $case: "written", value: 2 } }),
    PipelineResponse.encode({
      id: 2,
      result: { $case: "values", value: encodeValues([bytes("xyz"), undefined]) },
    }),
    PipelineResponse.encode({
      id: 4,
      result: {
        $case: "operations",
        value: {
          values: encodeValues([bytes("z"), undefined]),
          written: 1,
          errors: [],
          writesError: undefined,
        },
      },
    }),
  ]
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
  const shown = readme
    .split("\n")
    .filter((line) => line.startsWith("    "))
    .map((line) => line.split("#")[0]!.replaceAll(/\s/g, ""))
    .join("")
  for (const frame of frames) expect(shown).toContain(Buffer.from(frame.finish()).toString("hex"))
})
