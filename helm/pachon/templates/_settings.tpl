{{/* What the chart itself says, in the words of the platform's settings. */}}
{{- define "pachon.ownSettings" -}}
public_url: {{ .Values.url | quote }}
home: /srv/pachon
listen:
  host: 0.0.0.0
  inner_host: 0.0.0.0
  hub_host: {{ include "pachon.address" (list . "hub") }}
  api_host: {{ include "pachon.address" (list . "api") }}
  portal_host: {{ include "pachon.address" (list . "portal") }}
  proxy_api_host: {{ include "pachon.address" (list . "proxy-api") }}
  proxy_port: {{ include "pachon.port" "proxy" }}
  proxy_api_port: {{ include "pachon.port" "proxy-api" }}
  hub_port: {{ include "pachon.port" "hub" }}
  api_port: {{ include "pachon.port" "api" }}
  portal_port: {{ include "pachon.port" "portal" }}
  trusted_proxies: {{ .Values.api.trustedProxies | toJson }}
  finish_s: {{ .Values.api.finishSeconds }}
database:
  url: {{ include "pachon.databaseUrl" . | quote }}
hub:
  proxy: configurable-http-proxy
  admin_users: {{ .Values.auth.adminUsers | toJson }}
  {{- with include "pachon.authenticatorClass" . }}
  authenticator_class: {{ . }}
  {{- end }}
  config_files: {{ include "pachon.configFiles" . }}
labs:
  spawner: kubernetes
  namespace: {{ include "pachon.labsNamespace" . }}
  images: {{ .Values.labs.images | toJson }}
  sizes:
    {{- range .Values.labs.sizes }}
    - {name: {{ .name }}, cpu: {{ .cpu }}, memory_bytes: {{ include "pachon.bytes" .memoryGiB }}}
    {{- end }}
  storage:
    home_bytes: {{ include "pachon.bytes" .Values.labs.homeGiB }}
    {{- with .Values.labs.homeClassName }}
    home_class: {{ . }}
    {{- end }}
    {{- with .Values.labs.releasesClaim }}
    releases_claim: {{ . }}
    {{- end }}
  pull_policy: {{ .Values.images.pullPolicy }}
  pull_secrets: {{ .Values.images.pullSecrets | toJson }}
  node_selector: {{ .Values.labs.nodeSelector | toJson }}
allocation:
  share: {{ .Values.allocation.share }}
  capacity:
    cpu: {{ .Values.allocation.capacity.cpu }}
    memory_bytes: {{ include "pachon.bytes" .Values.allocation.capacity.memoryGiB }}
data:
  path: /srv/releases
  default_catalogues: false
jobs:
  path: /srv/workspace/jobs
saved:
  path: /srv/workspace/saved
{{- end }}

{{- define "pachon.authenticatorClass" -}}
{{- if eq .Values.auth.kind "oidc" -}}
oauthenticator.generic.GenericOAuthenticator
{{- else if eq .Values.auth.kind "custom" -}}
{{- .Values.auth.authenticatorClass -}}
{{- end -}}
{{- end }}

{{/* Further configuration of JupyterHub by file name, as YAML: the platform's files are read before the administrator's. */}}
{{- define "pachon.hubFiles" -}}
{{- $files := dict -}}
{{- if eq .Values.auth.kind "oidc" -}}
{{- $_ := set $files "00-oidc.py" (include "pachon.oidcConfig" .) -}}
{{- end -}}
{{- if .Values.hub.subdomains -}}
{{- $_ := set $files "01-subdomains.py" (printf "c.JupyterHub.subdomain_host = %q\n" .Values.url) -}}
{{- end -}}
{{- range $name, $text := .Values.hub.extraConfig -}}
{{- $_ := set $files (printf "50-%s.py" $name) $text -}}
{{- end -}}
{{- toYaml $files -}}
{{- end }}

{{- define "pachon.configFiles" -}}
{{- $paths := list -}}
{{- range $name := keys (include "pachon.hubFiles" . | fromYaml) | sortAlpha -}}
{{- $paths = append $paths (printf "/etc/pachon/%s" $name) -}}
{{- end -}}
{{- toJson $paths -}}
{{- end }}

{{- define "pachon.oidcConfig" -}}
{{- $oidc := .Values.auth.oidc -}}
import os

c.GenericOAuthenticator.client_id = {{ $oidc.clientId | toJson }}
c.GenericOAuthenticator.client_secret = os.environ["OIDC_CLIENT_SECRET"]
c.GenericOAuthenticator.oauth_callback_url = {{ printf "%s/hub/oauth_callback" .Values.url | toJson }}
c.GenericOAuthenticator.authorize_url = {{ $oidc.authorizeUrl | toJson }}
c.GenericOAuthenticator.token_url = {{ $oidc.tokenUrl | toJson }}
c.GenericOAuthenticator.userdata_url = {{ $oidc.userdataUrl | toJson }}
c.GenericOAuthenticator.scope = {{ $oidc.scopes | toJson }}
c.GenericOAuthenticator.username_claim = {{ $oidc.usernameClaim | toJson }}
{{- if $oidc.groupsClaim }}
c.GenericOAuthenticator.manage_groups = True
c.GenericOAuthenticator.auth_state_groups_key = {{ printf "oauth_user.%s" $oidc.groupsClaim | toJson }}
{{- end }}
{{- if $oidc.allowedGroups }}
c.GenericOAuthenticator.allowed_groups = set({{ $oidc.allowedGroups | toJson }})
{{- else }}
c.GenericOAuthenticator.allow_all = True
{{- end }}
{{ end }}

{{/* The settings file: the chart's own words win over the administrator's. */}}
{{- define "pachon.settings" -}}
{{- mustMergeOverwrite (deepCopy .Values.settings) (include "pachon.ownSettings" . | fromYaml) | toYaml -}}
{{- end }}

{{/* All files in the ConfigMap of settings, as its data. */}}
{{- define "pachon.settingsFiles" -}}
pachon.yaml: |
  {{- include "pachon.settings" . | nindent 2 }}
{{- range $name, $text := include "pachon.hubFiles" . | fromYaml }}
{{ $name }}: |
  {{- $text | nindent 2 }}
{{- end }}
{{- end }}
