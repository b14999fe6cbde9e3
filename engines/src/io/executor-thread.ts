// What a thread of the ThreadExecutor runs: finds the job, runs it on the real world, answers.

import { move, transferableSymbol, valueSymbol, workerData } from "piscina"
import type { Job } from "./executor.ts"
import { makeJobContext } from "./job-context.ts"
import { encodeError, type JobAnswer, type JobRequest, type ThreadStart } from "./job-message.ts"
import { movableBuffers } from "./movable-buffers.ts"
import { NodeFileSystem } from "./node-file-system.ts"
import { RequestFigures } from "./request-figures.ts"
import { stoppableContext } from "./stoppable-context.ts"
import { SystemClock } from "./system-clock.ts"
import { SystemRandom } from "./system-random.ts"

const start = workerData as ThreadStart

const context = makeJobContext({
  fileSystem: new NodeFileSystem(),
  clock: new SystemClock(),
  random: new SystemRandom(),
  requests: new RequestFigures(start.requests),
})

/** Not in the language level that this package is checked against, but in every Node that it runs on. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    array: Int32Array<SharedArrayBuffer>,
    index: number,
    value: number,
  ): { value: string | Promise<string> }
}

void closeObjectStoresWhenTold(start)

async function closeObjectStoresWhenTold({ objectStoresClosed }: ThreadStart): Promise<void> {
  await waitAsync(objectStoresClosed, 0, 0).value
  await context.close()
}

const jobs = new Map<string, Job<unknown, unknown>>()

/** Called by the pool for each job. Never rejects: what the job throws is part of the answer. */
export async function runJob(request: JobRequest): Promise<unknown> {
  const answer = await answerTo(request)
  // The pool moves the buffers that stand under the one symbol, and answers with what stands under the other.
  return move({ [transferableSymbol]: movableBuffers(answer), [valueSymbol]: answer })
}

async function answerTo({ module, name, input, stop }: JobRequest): Promise<JobAnswer> {
  try {
    const job = await findJob(module, name)
    const ofJob = stop === undefined ? context : stoppableContext(context, () => Atomics.load(stop, 0) !== 0)
    return { output: await job.run(ofJob, input) }
  } catch (error) {
    return { failure: encodeError(error) }
  }
}

async function findJob(module: string, name: string): Promise<Job<unknown, unknown>> {
  const place = `${module}#${name}`
  const known = jobs.get(place)
  if (known !== undefined) return known
  const exported: unknown = (await import(module))[name]
  if (!isJob(exported)) throw new Error(`${module} exports no job named ${name}`)
  jobs.set(place, exported)
  return exported
}

function isJob(value: unknown): value is Job<unknown, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "run" in value &&
    typeof value.run === "function" &&
    "name" in value
  )
}
