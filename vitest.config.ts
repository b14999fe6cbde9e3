// How tests run. Most are run by three processes, one file after the other: a process of its own for every file takes
// longer to start than most files to run. `test/nothing-left.ts` fails a file that leaves something for the next one.
// Tests that start processes and threads, or watch their own, are run in a process a file. Three processes keep two cores
// busy: who starts daemons waits for them half of the time.

import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config"

const apart = [
  "test/{bench,cli,io,packages,python,server}/**/*.test.ts",
  "test/life/daemons.test.ts",
  "test/s3/{engine-on-s3,real-server}.test.ts",
]

const common: TestProjectInlineConfiguration["test"] = {
  testTimeout: 60_000,
  hookTimeout: 60_000,
  pool: "forks",
  // What crosses a package is tested on the built packages, as users run them: as they are, by Node itself.
  server: { deps: { external: [/\/(?:proto|engines|client|server)\/dist\//] } },
}

export default defineConfig({
  test: {
    globalSetup: "./test/build-packages.ts",
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...common,
          name: "together",
          include: ["{proto,engines,client,server}/src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: apart,
          isolate: false,
          setupFiles: "./test/nothing-left.ts",
        },
      },
      { test: { ...common, name: "apart", include: apart, sequence: { groupOrder: 1 } } },
    ],
  },
})
