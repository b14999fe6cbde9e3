// Credentials in the environment, where Amazon's SDK looks for them, also on other threads.

import { afterAll, beforeAll } from "vitest"

/** What is not set here must not come from the machine that runs the tests. */
const cleared = {
  AWS_PROFILE: undefined,
  AWS_REGION: undefined,
  AWS_DEFAULT_REGION: undefined,
  AWS_ENDPOINT_URL: undefined,
  AWS_ENDPOINT_URL_S3: undefined,
  AWS_SESSION_TOKEN: undefined,
} as const
const QUIET = { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" }

/** Sets the variables that `environment` gives while the tests of this file run. For the top of a file. */
export function useCredentials(environment: () => Readonly<Record<string, string>>): void {
  const before = { ...process.env }
  beforeAll(() => {
    for (const name of Object.keys(cleared)) delete process.env[name]
    Object.assign(process.env, QUIET, environment())
  })
  afterAll(() => {
    for (const name of Object.keys({ ...cleared, ...QUIET, ...environment() })) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  })
}
