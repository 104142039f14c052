{{/* An image with tag or digest: (list $ "hub"). */}}
{{- define "pachon.image" -}}
{{- $root := index . 0 -}}
{{- $image := get $root.Values.images (index . 1) -}}
{{- $name := empty $root.Values.images.registry | ternary $image.repository (printf "%s/%s" (trimSuffix "/" $root.Values.images.registry) $image.repository) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* What all pods have in common: (dict "root" $ "component" "hub" "token" false). */}}
{{- define "pachon.pod" -}}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- if .token }}
serviceAccountName: {{ include "pachon.name" (list .root .component) }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What all containers have in common: (dict "root" $ "image" "hub" "resources" .Values.hub.resources). */}}
{{- define "pachon.container" -}}
image: {{ include "pachon.image" (list .root .image) | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
{{ include "pachon.locked" . }}
{{- end }}

{{- define "pachon.locked" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .resources | nindent 2 }}
{{- end }}

{{/* Where a process finds its settings, and where it may write what it does not keep. */}}
{{- define "pachon.environment" -}}
- name: PACHON_SETTINGS
  value: /etc/pachon/pachon.yaml
- name: PYTHONUNBUFFERED
  value: "1"
- name: HOME
  value: /srv/pachon
{{- end }}

{{/* A variable from the platform's secret: (list $ "PACHON_HUB__LABS_TOKEN" "labs-token"). */}}
{{- define "pachon.secretVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "pachon.secretName" (index . 0) }}
      key: {{ index . 2 }}
{{- end }}

{{/* libpq takes the password from here; the address without it is in the settings. */}}
{{- define "pachon.databasePassword" -}}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      {{- if eq .Values.database.kind "external" }}
      name: {{ .Values.database.external.existingSecret }}
      key: {{ .Values.database.external.passwordKey }}
      {{- else }}
      name: {{ include "pachon.secretName" . }}
      key: database-password
      {{- end }}
{{- end }}

{{- define "pachon.databaseUrl" -}}
{{- if eq .Values.database.kind "external" -}}
{{- with .Values.database.external -}}
{{- printf "postgresql+psycopg://%s@%s:%d/%s?sslmode=%s" .user .host (int .port) .name .sslMode -}}
{{- end -}}
{{- else -}}
{{- printf "postgresql+psycopg://pachon@%s:%s/pachon" (include "pachon.name" (list . "database")) (include "pachon.port" "database") -}}
{{- end -}}
{{- end }}

{{/* Whether pods of several nodes may share the platform's files: "yes" or nothing. */}}
{{- define "pachon.isShared" -}}
{{- $storage := .Values.storage -}}
{{- if or $storage.singleNode (and (eq $storage.releases.accessMode "ReadWriteMany") (eq $storage.workspace.accessMode "ReadWriteMany")) -}}
yes
{{- end -}}
{{- end }}

{{/* A claim that outlives the release: (dict "root" $ "name" "hub" "volume" .Values.hub.storage "mode" "ReadWriteOnce"). */}}
{{- define "pachon.claim" -}}
{{- if not .volume.existingClaim -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "pachon.metadata" (list .root .name) | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [{{ .mode }}]
  {{- with .volume.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .volume.size }}
{{- end }}
{{- end }}

{{- define "pachon.claimName" -}}
{{- .volume.existingClaim | default (include "pachon.name" (list .root .name)) -}}
{{- end }}

{{/* Asks a process over HTTP whether it is well: (list "/hub/health" "hub"). */}}
{{- define "pachon.probes" -}}
startupProbe:
  httpGet:
    path: {{ index . 0 }}
    port: {{ index . 1 }}
  periodSeconds: 2
  failureThreshold: 90
  timeoutSeconds: 5
readinessProbe:
  httpGet:
    path: {{ index . 0 }}
    port: {{ index . 1 }}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  httpGet:
    path: {{ index . 0 }}
    port: {{ index . 1 }}
  periodSeconds: 20
  failureThreshold: 6
  timeoutSeconds: 10
{{- end }}

{{/* Settings, a scratch folder and the temporary folder, which every process of the platform mounts. */}}
{{- define "pachon.mounts" -}}
- name: settings
  mountPath: /etc/pachon
  readOnly: true
- name: temporary
  mountPath: /tmp
{{- end }}

{{- define "pachon.volumes" -}}
- name: settings
  configMap:
    name: {{ include "pachon.name" (list . "settings") }}
- name: temporary
  emptyDir: {}
{{- end }}

{{/* Changes of what a process reads only at its start make new pods. */}}
{{- define "pachon.checksums" -}}
checksum/settings: {{ include "pachon.settingsFiles" . | sha256sum }}
checksum/secrets: {{ include "pachon.secretValues" . | sha256sum }}
{{- end }}
