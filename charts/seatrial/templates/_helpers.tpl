{{- define "seatrial.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "seatrial.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "seatrial.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* For objects without a namespace, so that releases of the same name in several namespaces do not collide. */}}
{{- define "seatrial.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "seatrial.fullname" .) }}
{{- end }}

{{- define "seatrial.selectorLabels" -}}
app.kubernetes.io/name: {{ include "seatrial.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "seatrial.labels" -}}
{{ include "seatrial.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "seatrial.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "seatrial.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the existing account, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "seatrial.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What the operator may do with models and the objects it makes for them, in a Role or a ClusterRole. */}}
{{- define "seatrial.rules" -}}
# ModelDeployments are their authors': the operator never writes a spec. The patch is for the finalizer with which one
# waits, when it is deleted, until a team's own route (traffic.routeRef) has its rule back.
- apiGroups: [seatrial.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [seatrial.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
# House rules of the namespace: they are their administrators', and only read.
- apiGroups: [seatrial.dev]
  resources: [trialpolicies]
  verbs: [list, watch]
# Some clusters ask for this before an object may name a ModelDeployment as its owner.
- apiGroups: [seatrial.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
# A revision's pods.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, update, patch, delete]
# The record that a revision's Deployment is applied from ever after.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, update, patch, delete]
# So that a node drains pod by pod.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, delete]
# Crashes, restarts, readiness and the images that really run.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Which pods a Service leads to, where no gateway divides the requests (traffic.replicaRatio).
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
# Recorded requests of a preflight, and training snapshots, by name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Freezes: annotations on the namespaces that are watched, and on the operator's own. */}}
{{- define "seatrial.freezeRules" -}}
- apiGroups: [""]
  resources: [namespaces]
  {{- if .Values.watch.namespaces }}
  resourceNames: {{ append .Values.watch.namespaces .Release.Namespace | uniq | toJson }}
  {{- end }}
  verbs: [list, watch]
{{- end }}

{{/* House rules for the whole cluster, or a part of it. */}}
{{- define "seatrial.houseRules" -}}
- apiGroups: [seatrial.dev]
  resources: [clustertrialpolicies]
  verbs: [list, watch]
{{- end }}

{{/* Whether the gateway that a route is attached to works. Gateways live in namespaces of their own. */}}
{{- define "seatrial.gatewayRules" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get, list, watch]
# Whether its implementation can copy requests.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get]
{{- end }}
