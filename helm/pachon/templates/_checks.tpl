{{/* What no schema can say: each wrong combination of values ends in a sentence with what to change. */}}
{{- define "pachon.checks" -}}
{{- $values := .Values -}}
{{- if eq (include "pachon.labsNamespace" .) .Release.Namespace -}}
{{- fail (printf "labs.namespace is %q, where the platform itself is: labs need a namespace of their own, or leave it empty." .Release.Namespace) -}}
{{- end -}}
{{- if and $values.ingress.enabled $values.gateway.enabled -}}
{{- fail "ingress.enabled and gateway.enabled are both set: enable the one that the cluster has." -}}
{{- end -}}
{{- if and (or $values.ingress.enabled $values.gateway.enabled) (eq (include "pachon.host" .) "localhost") -}}
{{- fail "url is on localhost, which no ingress or gateway serves: set url to the address that people type." -}}
{{- end -}}
{{- if and $values.gateway.enabled (not $values.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs is empty: name the gateways that serve the platform." -}}
{{- end -}}
{{- $portals := $values.portal.autoscaling.enabled | ternary $values.portal.autoscaling.maxReplicas $values.portal.replicas | int -}}
{{- if and $values.gateway.enabled (gt $portals 1) (not $values.gateway.sessionPersistence) -}}
{{- fail "portal has several replicas and gateway.sessionPersistence is false: browsers must stay with one Portal, so set it if the gateway knows session persistence, or set portal.replicas to 1." -}}
{{- end -}}
{{- if and $values.ingress.enabled (eq $values.ingress.controller "other") (gt $portals 1) (not $values.ingress.portalAnnotations) -}}
{{- fail "portal has several replicas and ingress.portalAnnotations is empty: say there how your controller keeps a browser with one Portal, or set portal.replicas to 1." -}}
{{- end -}}
{{- $apis := $values.api.autoscaling.enabled | ternary $values.api.autoscaling.maxReplicas $values.api.replicas | int -}}
{{- if and (gt $apis 1) (not (include "pachon.isShared" .)) -}}
{{- fail "api has several replicas and the volumes of storage are ReadWriteOnce: set storage.releases.accessMode and storage.workspace.accessMode to ReadWriteMany (or storage.singleNode on a cluster of one node), or set api.replicas to 1." -}}
{{- end -}}
{{- range $name := list "api" "portal" -}}
{{- $scaling := (get $values $name).autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.minReplicas (%d) is above maxReplicas (%d): swap them." $name (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if eq $values.database.kind "external" -}}
{{- range list "host" "existingSecret" -}}
{{- if not (get $values.database.external .) -}}
{{- fail (printf "database.kind is external and database.external.%s is empty: say where the database is and which secret has its password." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq $values.auth.kind "oidc" -}}
{{- range list "clientId" "existingSecret" "authorizeUrl" "tokenUrl" "userdataUrl" -}}
{{- if not (get $values.auth.oidc .) -}}
{{- fail (printf "auth.kind is oidc and auth.oidc.%s is empty: the provider's pages have it." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $values.auth.kind "custom") (not $values.auth.authenticatorClass) -}}
{{- fail "auth.kind is custom and auth.authenticatorClass is empty: name the class of JupyterHub's authenticator." -}}
{{- end -}}
{{- if and $values.hub.subdomains (eq (include "pachon.host" .) "localhost") -}}
{{- fail "hub.subdomains needs a url whose host has a wildcard in DNS: localhost has none." -}}
{{- end -}}
{{- include "pachon.checkSizes" . -}}
{{- include "pachon.checkSettings" . -}}
{{- /* Whoever installs may list secrets, since helm keeps releases in them; without a cluster there is nothing to look into. */ -}}
{{- if lookup "v1" "Secret" .Release.Namespace "" -}}
{{- include "pachon.checkSecrets" . -}}
{{- if $values.labs.createNamespace -}}
{{- include "pachon.checkStorage" . -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pachon.checkSizes" -}}
{{- $allocation := .Values.allocation -}}
{{- range .Values.labs.sizes -}}
{{- if or (gt (float64 .cpu) (mulf $allocation.share $allocation.capacity.cpu)) (gt (float64 .memoryGiB) (mulf $allocation.share $allocation.capacity.memoryGiB)) -}}
{{- fail (printf "labs.sizes has %q with %v cores and %v GiB, more than all labs together may use (allocation.share %v of %v cores and %v GiB): make it smaller, or the share or the capacity larger." .name .cpu .memoryGiB $allocation.share $allocation.capacity.cpu $allocation.capacity.memoryGiB) -}}
{{- end -}}
{{- end -}}
{{- range $what := list "sizes" "images" -}}
{{- $names := list -}}
{{- range get $.Values.labs $what -}}
{{- if has .name $names -}}
{{- fail (printf "labs.%s has %q twice: names must differ." $what .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Settings that the chart writes would be lost, and secrets would be readable by all who may read a ConfigMap. */}}
{{- define "pachon.checkSettings" -}}
{{- $own := include "pachon.ownSettings" . | fromYaml -}}
{{- range $group, $given := .Values.settings -}}
{{- $written := get $own $group -}}
{{- if and (hasKey $own $group) (not (kindIs "map" $written)) -}}
{{- fail (printf "settings.%s is written by the chart: take it out." $group) -}}
{{- end -}}
{{- if kindIs "map" $given -}}
{{- range $name, $_ := $given -}}
{{- if and (kindIs "map" $written) (hasKey $written $name) -}}
{{- fail (printf "settings.%s.%s is written by the chart: take it out, and use the chart's own value." $group $name) -}}
{{- end -}}
{{- if regexMatch "(_token|_secret|_passwords?)$" $name -}}
{{- fail (printf "settings.%s.%s is a secret, and settings are no place for one: put it into the secret that secrets.existingSecret names." $group $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Secrets that are named must be there with their keys: pods would wait for them without end. */}}
{{- define "pachon.checkSecrets" -}}
{{- $wanted := dict -}}
{{- if .Values.secrets.existingSecret -}}
{{- $keys := list "api-token" "portal-token" "labs-token" "proxy-token" "cookie-secret" -}}
{{- if eq .Values.auth.kind "demo" -}}
{{- $keys = append $keys "demo-passwords" -}}
{{- end -}}
{{- if eq .Values.database.kind "bundled" -}}
{{- $keys = append $keys "database-password" -}}
{{- end -}}
{{- $_ := set $wanted "secrets.existingSecret" (dict "name" .Values.secrets.existingSecret "keys" $keys) -}}
{{- end -}}
{{- if eq .Values.database.kind "external" -}}
{{- with .Values.database.external -}}
{{- $_ := set $wanted "database.external.existingSecret" (dict "name" .existingSecret "keys" (list .passwordKey)) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.auth.kind "oidc" -}}
{{- $_ := set $wanted "auth.oidc.existingSecret" (dict "name" .Values.auth.oidc.existingSecret "keys" (list "client-secret")) -}}
{{- end -}}
{{- range $value, $secret := $wanted -}}
{{- $there := lookup "v1" "Secret" $.Release.Namespace $secret.name -}}
{{- if not $there -}}
{{- fail (printf "%s names the secret %q, which is not in the namespace %q: make it first, with the keys %s." $value $secret.name $.Release.Namespace (join ", " $secret.keys)) -}}
{{- end -}}
{{- range $secret.keys -}}
{{- if not (hasKey ($there.data | default dict) .) -}}
{{- fail (printf "%s names the secret %q, which has no key %q: add it." $value $secret.name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Claims of a storage class that is not there stay pending without end. */}}
{{- define "pachon.checkStorage" -}}
{{- $volumes := dict "hub.storage" .Values.hub.storage "storage.releases" .Values.storage.releases "storage.workspace" .Values.storage.workspace -}}
{{- if eq .Values.database.kind "bundled" -}}
{{- $_ := set $volumes "database.storage" .Values.database.storage -}}
{{- end -}}
{{- $classes := list -}}
{{- $default := "" -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items -}}
{{- $classes = append $classes .metadata.name -}}
{{- if eq (dig "annotations" "storageclass.kubernetes.io/is-default-class" "false" .metadata) "true" -}}
{{- $default = .metadata.name -}}
{{- end -}}
{{- end -}}
{{- range $value, $volume := $volumes -}}
{{- if and (not $volume.existingClaim) $volume.className (not (has $volume.className $classes)) -}}
{{- fail (printf "%s.className is %q, and the cluster has no such storage class: it has %s." $value $volume.className (join ", " $classes | default "none")) -}}
{{- end -}}
{{- if not (or $volume.existingClaim $volume.className $default) -}}
{{- fail (printf "%s.className is empty, and the cluster has no default storage class: name one of %s." $value (join ", " $classes | default "none, which an administrator must make first")) -}}
{{- end -}}
{{- end -}}
{{- end }}
