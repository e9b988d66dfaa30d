{{/*
Names do not depend on the release: the operator is there once in a cluster, and Helm refuses a second release because these
objects belong to the first. So everything is called as config/default calls it, and the documentation is true for both.
*/}}
{{- define "netbaseline.selector" -}}
app.kubernetes.io/name: netbaseline
control-plane: controller-manager
{{- end }}

{{- define "netbaseline.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* Seven eighths of the memory limit, so that memory is given back before the container is killed; nothing without a limit. */}}
{{- define "netbaseline.goMemoryLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString }}
{{- if regexMatch "^[0-9]+Mi$" $limit }}
{{- printf "%dMiB" (div (mul (trimSuffix "Mi" $limit | int64) 7) 8) }}
{{- else if regexMatch "^[0-9]+Gi$" $limit }}
{{- printf "%dMiB" (div (mul (trimSuffix "Gi" $limit | int64) 7168) 8) }}
{{- end }}
{{- end }}

{{/* A budget of one for a single replica would keep every node drain waiting. */}}
{{- define "netbaseline.hasDisruptionBudget" -}}
{{- if and .Values.podDisruptionBudget.enabled (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}
