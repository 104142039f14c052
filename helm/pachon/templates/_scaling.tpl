{{/*
How many pods of a stateless component there are, and how many of them may be away at once:
(dict "root" $ "component" "api" "values" .Values.api). One pod alone gets no budget: it would hold up every drain of its node.
*/}}
{{- define "pachon.scaling" -}}
{{- $scaling := .values.autoscaling -}}
{{- if $scaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "pachon.metadata" (list .root .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "pachon.name" (list .root .component) }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.cpuPercent }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 600
      policies:
        - {type: Pods, value: 1, periodSeconds: 120}
{{- end }}
{{- if gt (int ($scaling.enabled | ternary $scaling.minReplicas .values.replicas)) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "pachon.metadata" (list .root .component) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "pachon.selector" (list .root .component) | nindent 6 }}
{{- end }}
{{- end }}
