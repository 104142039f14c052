{{/*
The values of the chart's own secret by key, as YAML with base64 values: those in the cluster, and new ones for what is
missing. They are made once a render and kept beside the values, since each call would make others.
*/}}
{{- define "pachon.secretValues" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret -}}
{{- else -}}
{{- if not (hasKey .Values.secrets "made") -}}
{{- $there := (lookup "v1" "Secret" .Release.Namespace (include "pachon.secretName" .)).data | default dict -}}
{{- $made := dict -}}
{{- range list "api-token" "portal-token" "labs-token" "proxy-token" "cookie-secret" "database-password" -}}
{{- $_ := set $made . (get $there . | default (randAlphaNum 48 | b64enc)) -}}
{{- end -}}
{{- $passwords := dict -}}
{{- range list "admin" "astronomer" "novice" "visitor" -}}
{{- $_ := set $passwords . (randAlphaNum 14) -}}
{{- end -}}
{{- $_ := set $made "demo-passwords" (get $there "demo-passwords" | default ($passwords | toJson | b64enc)) -}}
{{- $_ := set .Values.secrets "made" $made -}}
{{- end -}}
{{- toYaml .Values.secrets.made -}}
{{- end -}}
{{- end }}
