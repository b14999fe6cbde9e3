import { credentials } from "@grpc/grpc-js"
import { health as healthApi } from "@varve/proto"

export const { HealthCheckResponse_ServingStatus: ServingStatus } = healthApi

/** What the gRPC server at the address answers to a question about its health. */
export async function health(address: string): Promise<number> {
  const client = new healthApi.HealthClient(address, credentials.createInsecure())
  try {
    return await new Promise<number>((resolve, reject) => {
      client.check({ service: "" }, (error, response) => {
        if (error === null) resolve(response.status)
        else reject(error)
      })
    })
  } finally {
    client.close()
  }
}
