{{/*
Whether the API server has a kind of policy. Rendered without a server (its kinds are not known then), its version says.
*/}}
{{- define "seatrial.serves" -}}
{{- $versions := .root.Capabilities.APIVersions }}
{{- if $versions.Has "apps/v1/Deployment" }}
{{- if $versions.Has (printf "admissionregistration.k8s.io/v1/%s" .kind) }}yes{{ end }}
{{- else if semverCompare (printf ">=%s-0" .since) .root.Capabilities.KubeVersion.Version }}yes
{{- end }}
{{- end }}

{{/* Whether commands are checked here: `yes` or nothing. */}}
{{- define "seatrial.checksCommands" -}}
{{- if .Values.authority.commands }}
{{- include "seatrial.serves" (dict "root" . "kind" "ValidatingAdmissionPolicy" "since" "1.30.0") }}
{{- end }}
{{- end }}

{{/* Whether authors are kept here. They say nothing unless the names under commands can be trusted too. */}}
{{- define "seatrial.keepsAuthors" -}}
{{- if and .Values.authority.authors (include "seatrial.checksCommands" .) }}
{{- include "seatrial.serves" (dict "root" . "kind" "MutatingAdmissionPolicy" "since" "1.36.0") }}
{{- end }}
{{- end }}

{{/* Policies are named by DNS names, so without the colon that roles have. */}}
{{- define "seatrial.policyName" -}}
{{- printf "%s.%s" (include "seatrial.fullname" .) .Release.Namespace | trimSuffix "." }}
{{- end }}

{{/* The models that a policy looks at. */}}
{{- define "seatrial.policyMatch" -}}
matchConstraints:
  {{- with .Values.watch.namespaces }}
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml . | nindent 10 }}
  {{- end }}
  resourceRules:
    - apiGroups: [seatrial.dev]
      apiVersions: [v1alpha1]
      operations: [CREATE, UPDATE]
      resources: [modeldeployments]
{{- end }}

{{/* The caller as one word: `core/commands.py` writes and reads names in this way. */}}
{{- define "seatrial.caller" -}}
- name: caller
  expression: request.userInfo.username.replace('%', '%25').replace(' ', '%20')
{{- end }}

{{/*
Who made the revision that the spec asks for, and everybody who changed the spec since, as words. Unknown (empty)
stays unknown until somebody makes another revision.
*/}}
{{- define "seatrial.authors" -}}
{{ include "seatrial.caller" . }}
- name: authorsBefore
  expression: >-
    oldObject == null ? '' : oldObject.metadata.?annotations[?'seatrial.dev/spec-by'].orValue('')
# What makes a revision: `build/revision.py`.
- name: newRevision
  expression: >-
    oldObject == null
    || object.spec.template != oldObject.spec.template
    || object.spec.?runtime != oldObject.spec.?runtime
    || object.spec.?port != oldObject.spec.?port
    || object.spec.?model.?version != oldObject.spec.?model.?version
# Autoscalers change replicas, and whoever suspends a model decides nothing about it.
- name: newTerms
  expression: >-
    oldObject != null && (
      object.spec.exists(field, !(field in ['replicas', 'suspend'])
        && (!(field in oldObject.spec) || object.spec[field] != oldObject.spec[field]))
      || oldObject.spec.exists(field, !(field in ['replicas', 'suspend']) && !(field in object.spec)))
- name: authors
  expression: >-
    variables.newRevision ? variables.caller
    : !variables.newTerms || variables.authorsBefore == '' || variables.caller in variables.authorsBefore.split(' ')
    ? variables.authorsBefore
    : variables.authorsBefore + ' ' + variables.caller
{{- end }}
