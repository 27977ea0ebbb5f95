{{/* What all pods have. Takes root. */}}
{{- define "p2p-edit.pod" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
# Services of the namespace would else appear as variables, among them such as look like settings.
enableServiceLinks: false
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* Where pods may be placed. Takes part: a section of the values. */}}
{{- define "p2p-edit.placed" -}}
{{- with .part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Apart from each other where that is possible. Takes what the selector takes, and keys. */}}
{{- define "p2p-edit.spread" -}}
topologySpreadConstraints:
{{- range .keys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "p2p-edit.selector" $ | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The files of a pod. Takes root, and optionally webhooks, tmpSize, cacheClaim. */}}
{{- define "p2p-edit.volumes" -}}
volumes:
  - name: files
    emptyDir: {{ with .tmpSize }}{sizeLimit: {{ . | quote }}}{{ else }}{}{{ end }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        - secret:
            name: {{ .root.Values.secret.name | quote }}
            items:
              - {key: REDIS_URL, path: REDIS_URL}
              - {key: STORAGE_URL, path: STORAGE_URL}
              {{- with .root.Values.secret.redisCaKey }}
              - {key: {{ . | quote }}, path: redis-ca.crt}
              {{- end }}
        {{- if .webhooks }}
        # Webhooks are not signed where it is missing.
        - secret:
            name: {{ .root.Values.secret.name | quote }}
            optional: true
            items: [{key: WEBHOOK_SECRET, path: WEBHOOK_SECRET}]
        {{- end }}
{{- if and .models .root.Values.modelsFile }}
  - name: models-file
    configMap: {name: {{ include "p2p-edit.name" .root }}-models}
{{- end }}
{{- with .cacheClaim }}
  - name: cache
    persistentVolumeClaim: {claimName: {{ . | quote }}}
{{- end }}
{{- end -}}

{{/* What a container mounts. Takes what the volumes take. */}}
{{- define "p2p-edit.mounts" -}}
volumeMounts:
  - {name: files, mountPath: /tmp}
  - {name: secrets, mountPath: /secrets, readOnly: true}
{{- if and .models .root.Values.modelsFile }}
  - {name: models-file, mountPath: /config, readOnly: true}
{{- end }}
{{- if .cacheClaim }}
  - {name: cache, mountPath: /models}
{{- end }}
{{- end -}}

{{/* Settings as variables: those of the part go before those of all. Takes root, own, and fixed: what the chart says. */}}
{{- define "p2p-edit.env" -}}
{{- $said := merge (dict "SECRETS_DIR" "/secrets") .fixed -}}
{{- if and .models .root.Values.modelsFile }}{{ $_ := set $said "MODELS_FILE" "/config/models.toml" }}{{ end -}}
{{- range $name, $_ := merge (dict) .own .root.Values.settings -}}
{{- if or (hasKey $said $name) (eq $name "POD_NAME") -}}
{{- fail (printf "settings: %s is what the chart itself says, by another of its values; leave it out" $name) -}}
{{- end -}}
{{- end -}}
env:
{{- range $name, $value := merge $said .own .root.Values.settings }}
  - name: {{ $name }}
    value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* A pod's annotations for Prometheus. Takes root and port. */}}
{{- define "p2p-edit.scraped" -}}
{{- if .root.Values.monitoring.annotations }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
{{- end }}
{{- end -}}
