// A gRPC channel to one address, with the options that this client needs.

import { type ChannelOptions, credentials } from "@grpc/grpc-js"
import { StateBackendClient } from "@varve/proto"

/** How long gRPC itself waits between attempts, at most; the pauses of `backoff.ts` come on top. */
const CHANNEL_BACKOFF_MS = 100

/**
 * What the daemon may send before this side has taken any of it. With HTTP/2's 64 KiB a few `getMany` wait for one another,
 * which `npm run bench -- wire` shows as a lower rate of it; with more than 1 MiB that is no higher.
 */
const WINDOW_BYTES = 1024 * 1024

const channelOptions: ChannelOptions = {
  // A daemon beside the worker is not behind the proxy that the environment names for the world.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // Each client has a connection of its own: no other client's traffic stands before its frames.
  "grpc.use_local_subchannel_pool": 1,
  // Retries are decided here, where it is known what may be sent twice.
  "grpc.enable_retries": 0,
  "grpc.initial_reconnect_backoff_ms": CHANNEL_BACKOFF_MS,
  "grpc.max_reconnect_backoff_ms": CHANNEL_BACKOFF_MS,
  "grpc-node.flow_control_window": WINDOW_BYTES,
  // A peer that vanished without a word is noticed in half a minute.
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // The daemon bounds its answers (MESSAGE_TOO_LARGE); cutting one off here would end the whole stream.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
}

/** A channel; it connects when it is first used. The caller closes it. */
export function openChannel(address: string): StateBackendClient {
  return new StateBackendClient(address, credentials.createInsecure(), channelOptions)
}
