// The door of the daemon: settings and start. `varve serve` is a thin layer over `runDaemon`.

export { loadSettings, type SettingSources } from "./config/load-settings.ts"
export { parseSettings } from "./config/parse-settings.ts"
export { type Settings, SettingsError, type StoreSettings } from "./config/settings.ts"
export { type SettingRow, settingRows, storeSettingRows } from "./config/settings-table.ts"
export { runDaemon } from "./main/run-daemon.ts"
export { type Daemon, startDaemon } from "./main/start-daemon.ts"
