{{/* First part of all names: short enough that every suffix fits into 63 characters. */}}
{{- define "pachon.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "pachon" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-pachon" (.Release.Name | trunc 33 | trimSuffix "-") -}}
{{- end -}}
{{- end }}

{{/* Name of a resource: (list $ "hub"). */}}
{{- define "pachon.name" -}}
{{- printf "%s-%s" (include "pachon.fullname" (index . 0)) (index . 1) -}}
{{- end }}

{{/* Name of a resource that has no namespace: two releases must not meet. */}}
{{- define "pachon.clusterName" -}}
{{- printf "%s-%s" (index . 0).Release.Namespace (include "pachon.name" .) -}}
{{- end }}

{{/* Where a service is found from every namespace, since labs are in another one: (list $ "hub"). */}}
{{- define "pachon.address" -}}
{{- printf "%s.%s" (include "pachon.name" .) (index . 0).Release.Namespace -}}
{{- end }}

{{- define "pachon.labsNamespace" -}}
{{- .Values.labs.namespace | default (printf "%s-labs" .Release.Namespace) -}}
{{- end }}

{{/* What a component's pods are found by: (list $ "hub"). */}}
{{- define "pachon.selector" -}}
app.kubernetes.io/name: pachon
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "pachon.labels" -}}
{{ include "pachon.selector" . }}
app.kubernetes.io/part-of: pachon
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{/* Name and labels of a resource in the namespace of the release: (list $ "hub"). */}}
{{- define "pachon.metadata" -}}
name: {{ include "pachon.name" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "pachon.labels" . | nindent 2 }}
{{- end }}

{{/* The same in the labs' namespace. */}}
{{- define "pachon.labsMetadata" -}}
name: {{ include "pachon.name" . }}
namespace: {{ include "pachon.labsNamespace" (index . 0) }}
labels:
  {{- include "pachon.labels" . | nindent 2 }}
{{- end }}

{{/* Bytes of a number of GiB. */}}
{{- define "pachon.bytes" -}}
{{- mulf 1073741824 . | floor | int64 -}}
{{- end }}

{{/* Names of services and the port of each process. */}}
{{- define "pachon.port" -}}
{{- get (dict "proxy" "8000" "proxy-api" "8001" "hub" "8002" "api" "8003" "portal" "8004" "database" "5432" "lab" "8888") . -}}
{{- end }}

{{- define "pachon.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "pachon.name" (list . "secrets")) -}}
{{- end }}

{{- define "pachon.host" -}}
{{- (urlParse .Values.url).hostname -}}
{{- end }}
