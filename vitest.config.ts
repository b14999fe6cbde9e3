import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["{proto,engines,client,server}/src/**/*.test.ts", "test/**/*.test.ts"],
    // What crosses a package is tested on the built packages, as users run them.
    globalSetup: "./test/build-packages.ts",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
})
