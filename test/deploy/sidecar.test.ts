// The manifests of the sidecar: Kubernetes takes them, and a daemon with their very arguments serves a worker over the
// socket.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { connect } from "@varve/client"
import { expect, test } from "vitest"
import {
  danglingReferences,
  isLockedDown,
  type KubernetesObject,
  parseObjects,
  schemaFault,
} from "./kubernetes-objects.ts"
import { settingsOfArguments } from "./serve-arguments.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const objects = parseObjects(readFileSync(join(root, "deploy/sidecar/worker.yaml"), "utf8"))
const pod = objects.find(({ kind }) => kind === "StatefulSet")!["spec"].template.spec as KubernetesObject
const [sidecar] = pod["initContainers"]
const [worker] = pod["containers"]

test("sidecar: Kubernetes takes the manifests, and they refer to nothing that is missing", () => {
  const faults = objects.map(schemaFault).filter((fault) => fault !== undefined)
  deepStrictEqual([...faults, ...danglingReferences(objects)], [])
})

test("sidecar: it starts before the worker and stops after it, locked down, and has time to stop", () => {
  strictEqual(sidecar.restartPolicy, "Always")
  ok(sidecar.startupProbe !== undefined)
  ok(isLockedDown(pod, sidecar) && isLockedDown(pod, worker))
  ok(pod["terminationGracePeriodSeconds"] > 10)
})

test("sidecar: worker and daemon share the socket's folder", () => {
  const { grpc } = settingsOfArguments(sidecar.args, "worker-0")
  const address = worker.env.find(({ name }: { name: string }) => name === "VARVE_ADDRESS").value
  strictEqual(address, grpc)
  for (const { volumeMounts } of [sidecar, worker])
    expect(volumeMounts).toContainEqual({ name: "varve-socket", mountPath: "/run/varve" })
})

test("sidecar: a daemon with its arguments takes a worker's calls over the socket", async () => {
  const folder = mkdtempSync(join(tmpdir(), "varve-sidecar-"))
  const here = (argument: string): string =>
    argument
      .replace("=unix:/run/varve/", `=unix:${folder}/`)
      .replace("=/data", `=${folder}/data`)
      .replace(/=s3:.*/, `=file:${folder}/repository`)
      .replace("0.0.0.0:7480", "127.0.0.1:0")
  const args = [join(root, "server/bin/varve.js"), ...sidecar.args.map(here)]
  const daemon = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
  const gone = once(daemon, "exit")
  try {
    for await (const line of createInterface({ input: daemon.stdout }))
      if ((JSON.parse(line) as { event: string }).event === "ready") break
    strictEqual(statSync(join(folder, "grpc")).mode & 0o777, 0o660)
    const state = connect(worker.env[0].value.replace("/run/varve", folder))
    await state.set("user:1", "Ada")
    strictEqual(String(await state.get("user:1")), "Ada")
    await state.close()
  } finally {
    daemon.kill("SIGTERM")
    await gone
    rmSync(folder, { recursive: true })
  }
  strictEqual(daemon.exitCode, 0)
})
