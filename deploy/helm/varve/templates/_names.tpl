{{- define "varve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* Of every object. At most 52 characters: the controller's label of a pod adds a hash of 11. */}}
{{- define "varve.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "varve.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "varve.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes: selectors are fixed for the life of a StatefulSet. */}}
{{- define "varve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "varve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "varve.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "varve.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* s3://BUCKET/PREFIX/POD: a prefix for each pod, since one prefix with the same store twice has one owner. */}}
{{- define "varve.repository" -}}
{{- with .Values.repository -}}
s3://{{ .bucket }}/{{ with .prefix }}{{ . }}/{{ end }}$(POD_NAME)
{{- $query := list }}
{{- with .endpoint }}{{ $query = append $query (printf "endpoint=%s" (urlquery .)) }}{{ end }}
{{- with .region }}{{ $query = append $query (printf "region=%s" (urlquery .)) }}{{ end }}
{{- with $query }}?{{ join "&" . }}{{ end }}
{{- end }}
{{- end }}
