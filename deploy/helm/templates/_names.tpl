{{/* What every object's name begins with: short enough that "keda-hpa-NAME-worker-WORKER" is a name (63). */}}
{{- define "p2p-edit.name" -}}
{{- if regexMatch "^[^a-z]" (.Values.nameOverride | default .Release.Name) -}}
{{- fail (printf "nameOverride: names of services begin with a letter, and %q does not; give a name that does" (.Values.nameOverride | default .Release.Name)) -}}
{{- else if .Values.nameOverride -}}
{{- .Values.nameOverride | trunc 26 | trimSuffix "-" -}}
{{- else if contains "p2p-edit" .Release.Name -}}
{{- .Release.Name | trunc 26 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-p2p-edit" .Release.Name | trunc 26 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What chooses the pods of one part. Takes root and component. */}}
{{- define "p2p-edit.selector" -}}
app.kubernetes.io/name: p2p-edit
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .worker }}
p2p-edit/worker: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The labels of an object. Takes what the selector takes, and more: labels of its own. */}}
{{- define "p2p-edit.labels" -}}
{{ include "p2p-edit.selector" . }}
app.kubernetes.io/part-of: p2p-edit
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.more | default dict) .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image by registry, repository, tag and digest. Takes root and image. */}}
{{- define "p2p-edit.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* HOST:PORT where KEDA asks. */}}
{{- define "p2p-edit.redisAddress" -}}
{{- if .Values.redis.tryOut.enabled -}}
{{ include "p2p-edit.name" . }}-redis.{{ .Release.Namespace }}.svc:6379
{{- else -}}
{{ .Values.redis.address }}
{{- end -}}
{{- end -}}

{{/* The Secret with Redis's login. */}}
{{- define "p2p-edit.redisSecret" -}}
{{- if .Values.redis.tryOut.enabled }}{{ .Values.redis.tryOut.secret }}{{ else }}{{ .Values.redis.auth.secret }}{{ end -}}
{{- end -}}
