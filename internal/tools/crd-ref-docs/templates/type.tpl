{{- define "type" -}}
{{- if markdownShouldRenderType . }}
### {{ .Name }}

{{ .Doc | replace "\n" " " }}
{{ if .IsAlias }}
A {{ markdownRenderTypeLink .UnderlyingType }}.
{{ end }}
{{- if .EnumValues }}
| value | meaning |
|---|---|
{{ range .EnumValues -}}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc }} |
{{ end -}}
{{ end -}}
{{ if .Members }}
| field | meaning | default | bounds |
|---|---|---|---|
{{ if .GVK -}}
| `apiVersion` | `{{ .GVK.Group }}/{{ .GVK.Version }}` | | |
| `kind` | `{{ .GVK.Kind }}` | | |
{{ end -}}
{{ range .Members -}}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ .Doc | replace "\n" " " | replace "|" "\\|" }} | {{ with .Default }}`{{ . | toString | replace "{  }" "{}" }}`{{ end }} | {{ template "bounds" .Validation }} |
{{ end -}}
{{ end -}}
{{ end -}}
{{- end -}}

{{- define "bounds" -}}
{{ range $i, $bound := without . "Optional: {}" -}}
{{ if $i }}<br>{{ end }}{{ $bound | replace "Required: {}" "required" }}
{{- end -}}
{{- end -}}
