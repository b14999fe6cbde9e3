// The checks of manifests see what they are there for.

import { match, ok, strictEqual } from "node:assert"
import { readFileSync } from "node:fs"
import { test } from "vitest"
import { renderedPath } from "./chart.ts"
import { danglingReferences, parseObjects, schemaFault } from "./kubernetes-objects.ts"

const whole = readFileSync(renderedPath("replicas"), "utf8")

test.each([
  ["readOnlyRootFilesystem", "readOnlyRootFilesytem", /unknown: .*readOnlyRootFilesytem/],
  ["failureThreshold: 360", "failureThreshold: many", /failureThreshold must be integer/],
  ["kind: PodDisruptionBudget", "kind: PodDisruptionBudged", /has no PodDisruptionBudged/],
  ["mountPath: /data", "path: /data", /must have required property mountPath/],
  ["jobLabel:", "jobName:", /jobName/],
  ["      name: data", "      nam: data", /StatefulSet/],
])("manifests: %s written as %s is a fault", (right, wrong, fault) => {
  ok(whole.includes(right))
  const faults = parseObjects(whole.replace(right, wrong)).map(schemaFault)
  match(faults.filter((each) => each !== undefined).join("\n"), fault)
})

test.each([
  [
    "    - name: data\n              mountPath",
    "    - name: date\n              mountPath",
    "varve mounts date",
  ],
  ["targetPort: grpc-1", "targetPort: grpc-2", "port grpc-2"],
  ["serviceName: varve", "serviceName: varves", "service varves"],
  ["serviceAccountName: varve", "serviceAccountName: other", "service account"],
  ["            name: varve\n", "            name: other\n", "map other"],
])("manifests: %s written as %s refers to nothing", (right, wrong, fault) => {
  ok(whole.includes(right))
  strictEqual(danglingReferences(parseObjects(whole.replace(right, wrong))).join(), fault)
})
