// Manifests as Kubernetes would read them: every field known, of its type, and nothing that refers to something missing.

import * as apps from "kubernetes-models/apps/v1"
import * as networking from "kubernetes-models/networking.k8s.io/v1"
import * as policy from "kubernetes-models/policy/v1"
import * as core from "kubernetes-models/v1"
import { parseAllDocuments } from "yaml"

/** A class of kubernetes-models. */
type Model = new (content: KubernetesObject) => { validate(): void }

/** The parts of Kubernetes' API that manifests here may use. */
const apiGroups: Readonly<Record<string, object>> = {
  v1: core,
  "apps/v1": apps,
  "networking.k8s.io/v1": networking,
  "policy/v1": policy,
}

/** The fields of an object of Kubernetes that the tests look at. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: each kind has fields of its own; `schemaFaults` has looked at them.
  readonly [field: string]: any
}

/** @throws when a document is no YAML, or an object is there twice */
export function parseObjects(text: string): KubernetesObject[] {
  const objects = parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    const object = document.toJS() as KubernetesObject | null
    return object === null ? [] : [object]
  })
  const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`${twice} is there twice`)
  return objects
}

/** What the API's own schema says against an object; undefined: nothing. A field that it does not know is a fault. */
export function schemaFault(object: KubernetesObject): string | undefined {
  const { apiVersion, kind, metadata } = object
  if (apiVersion === "monitoring.coreos.com/v1" && kind === "ServiceMonitor") return monitorFault(object)
  const Model = (apiGroups[apiVersion] as Record<string, Model> | undefined)?.[kind]
  if (Model === undefined) return `${apiVersion} has no ${kind}`
  const read = new Set<string>()
  try {
    const model = new Model(object)
    model.validate.call(observed(model, "", read))
  } catch (error) {
    return `${kind}/${metadata.name}: ${(error as Error).message}`
  }
  const unknown = fieldPaths(object, "").filter((path) => !read.has(path))
  return unknown.length === 0 ? undefined : `${kind}/${metadata.name}: unknown: ${unknown.join(", ")}`
}

/** The value, with every field that is read noted: a validator reads those that its schema knows. */
function observed<Value>(value: Value, path: string, read: Set<string>): Value {
  if (typeof value !== "object" || value === null) return value
  return new Proxy(value, {
    get: (target, key) => {
      read.add(`${path}/${String(key)}`)
      return observed(Reflect.get(target, key), `${path}/${String(key)}`, read)
    },
  })
}

function fieldPaths(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => [
    `${path}/${key}`,
    ...fieldPaths(each, `${path}/${key}`),
  ])
}

/** The Prometheus operator's kind is no part of Kubernetes: these are the fields that we use of it. */
function monitorFault({ spec }: KubernetesObject): string | undefined {
  const known = { spec: ["jobLabel", "selector", "endpoints"], endpoint: ["port", "path", "interval"] }
  const fields: string[] = Object.keys(spec).filter((field) => !known.spec.includes(field))
  for (const endpoint of spec.endpoints)
    fields.push(...Object.keys(endpoint).filter((field) => !known.endpoint.includes(field)))
  return fields.length === 0 ? undefined : `ServiceMonitor: not known here: ${fields.join(", ")}`
}

/** Mounts without a volume, ports, services, accounts and maps that nobody has: what a schema cannot see. */
export function danglingReferences(objects: readonly KubernetesObject[]): string[] {
  const named = (kind: string, name: string): boolean =>
    objects.some((object) => object.kind === kind && object.metadata.name === name)
  const faults: string[] = []
  const need = (holds: boolean, fault: string): void => void (holds || faults.push(fault))
  const sets = objects.filter(({ kind }) => kind === "StatefulSet")
  for (const { spec } of sets) {
    const pod = spec.template.spec
    const containers = [...(pod.initContainers ?? []), ...pod.containers]
    const volumes = [...(pod.volumes ?? []), ...(spec.volumeClaimTemplates ?? [])]
    const volumeNames = volumes.map((volume) => volume.name ?? volume.metadata.name)
    const portNames = containers.flatMap(({ ports = [] }) => ports.map(({ name }: { name: string }) => name))
    need(named("Service", spec.serviceName), `service ${spec.serviceName}`)
    if (pod.serviceAccountName) need(named("ServiceAccount", pod.serviceAccountName), "service account")
    for (const [label, value] of Object.entries(spec.selector.matchLabels))
      need(spec.template.metadata.labels[label] === value, `selector ${label}`)
    for (const { name, volumeMounts = [] } of containers)
      for (const mount of volumeMounts) need(volumeNames.includes(mount.name), `${name} mounts ${mount.name}`)
    for (const { configMap } of volumes)
      if (configMap) need(named("ConfigMap", configMap.name), `map ${configMap.name}`)
    for (const service of objects.filter(({ kind }) => kind === "Service"))
      for (const { targetPort } of service["spec"].ports)
        need(portNames.includes(targetPort), `port ${targetPort}`)
  }
  const podLabels = sets.map(({ spec }) => spec.template.metadata.labels)
  for (const { kind, metadata, spec } of objects) {
    const selected = spec?.podSelector?.matchLabels ?? spec?.selector?.matchLabels ?? spec?.selector
    if (selected === undefined || kind === "ServiceMonitor") continue
    const finds = podLabels.some((labels) =>
      Object.entries(selected).every(([key, each]) => labels[key] === each),
    )
    need(finds, `${kind}/${metadata.name} selects no pod`)
  }
  return faults
}

/** A container whose root file system is read-only, without capabilities, that never becomes root. */
export function isLockedDown(pod: KubernetesObject["spec"], container: KubernetesObject["spec"]): boolean {
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext
  return (
    pod.securityContext.runAsNonRoot === true &&
    pod.securityContext.runAsUser > 0 &&
    pod.securityContext.seccompProfile.type === "RuntimeDefault" &&
    allowPrivilegeEscalation === false &&
    readOnlyRootFilesystem === true &&
    capabilities.drop.join() === "ALL"
  )
}
