// Arguments of `varve serve` as manifests give them, `--data-dir=/data`, as settings by flag.

import { ok, strictEqual } from "node:assert"
import { settingRows, storeSettingRows } from "@varve/server"

const known = new Set(["--config", ...[...settingRows, ...storeSettingRows].map(({ flag }) => flag)])

/** @param podName what Kubernetes puts in place of `$(POD_NAME)` */
export function settingsOfArguments(args: readonly string[], podName: string): Record<string, string> {
  strictEqual(args[0], "serve")
  return Object.fromEntries(
    args.slice(1).map((argument) => {
      const [, name, value] = /^--([a-z-]+)=(.+)$/.exec(argument) ?? []
      ok(name !== undefined && value !== undefined, `${argument} is not --NAME=VALUE`)
      ok(known.has(`--${name}`), `${argument} is no option of serve`)
      const property = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
      return [property, value.replaceAll("$(POD_NAME)", podName)]
    }),
  )
}
