{{/* A network policy: (dict "root" $ "component" "hub" "ingress" (list ...) "egress" (list ...)), both lists of texts. */}}
{{- define "pachon.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "pachon.metadata" (list .root .component) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "pachon.selector" (list .root .component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if .ingress }}
  ingress:
    {{- range .ingress }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- end }}
  egress:
    {{- include "pachon.toNames" .root | nindent 4 }}
    {{- range .egress }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Every pod asks for names. */}}
{{- define "pachon.toNames" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- toYaml .Values.network.dns | nindent 4 }}
{{- end }}

{{/* From components of this release to a port: (list $ "hub" (list "api" "portal")). */}}
{{- define "pachon.from" -}}
- ports:
    - {port: {{ include "pachon.port" (index . 1) }}, protocol: TCP}
  from:
    {{- include "pachon.peers" (list (index . 0) (index . 2)) | nindent 4 }}
{{- end }}

{{/* To a component of this release: (list $ "database"). */}}
{{- define "pachon.to" -}}
- ports:
    - {port: {{ include "pachon.port" (index . 1) }}, protocol: TCP}
  to:
    {{- include "pachon.peers" (list (index . 0) (list (trimSuffix "-api" (index . 1)))) | nindent 4 }}
{{- end }}

{{- define "pachon.peers" -}}
{{- $root := index . 0 -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: pachon
      app.kubernetes.io/instance: {{ $root.Release.Name }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " (index . 1) }}]}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ $root.Release.Namespace }}
{{- end }}

{{/* From labs to a port: (list $ "hub"). */}}
{{- define "pachon.fromLabs" -}}
- ports:
    - {port: {{ include "pachon.port" (index . 1) }}, protocol: TCP}
  from:
    {{- include "pachon.labPeers" (index . 0) | nindent 4 }}
{{- end }}

{{- define "pachon.toLabs" -}}
- ports:
    - {port: {{ include "pachon.port" "lab" }}, protocol: TCP}
  to:
    {{- include "pachon.labPeers" . | nindent 4 }}
{{- end }}

{{- define "pachon.labPeers" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ include "pachon.labsNamespace" . }}
{{- end }}

{{/* From the outside to a door: (list $ "portal"). */}}
{{- define "pachon.fromDoors" -}}
- ports:
    - {port: {{ include "pachon.port" (index . 1) }}, protocol: TCP}
  {{- with (index . 0).Values.network.doorsFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* To the internet, never to private networks nor to the address where clouds tell a machine its secrets. */}}
{{- define "pachon.toInternet" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock:
        cidr: ::/0
        except: ["::1/128", "fc00::/7", "fe80::/10"]
{{- end }}

{{/* To the cluster's API server, wherever the values say it is. */}}
{{- define "pachon.toKubernetes" -}}
- ports:
    {{- range .Values.network.kubernetesApi.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    - ipBlock:
        cidr: {{ .Values.network.kubernetesApi.cidr }}
        {{- if hasSuffix "/0" .Values.network.kubernetesApi.cidr }}
        except: [169.254.0.0/16]
        {{- end }}
{{- end }}

{{/* To the database, in the cluster or outside of it. */}}
{{- define "pachon.toDatabase" -}}
{{- if eq .Values.database.kind "external" -}}
- ports:
    - {port: {{ .Values.database.external.port }}, protocol: TCP}
{{- else -}}
{{- include "pachon.to" (list . "database") -}}
{{- end -}}
{{- end }}
