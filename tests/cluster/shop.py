"""A shop behind the model, in a pod beside it: it asks through the gateway, and counts what comes of the answers."""

from __future__ import annotations

from tests.cluster.api import Object
from tests.cluster.model import LIGHT, SCRAPED, Model

NAME = "shop"


def open_shop(model: Model, rate: float) -> None:
    """Start it; so many customers a second."""
    environment = {
        "MODEL": f"{_gateway(model)}:80",
        "MODEL_HOST": model.host,
        "MODEL_PATH": f"/v2/models/{model.model}/infer",
        "RATE": str(rate),
    }
    container: Object = {
        "name": NAME,
        "image": LIGHT,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/shop.py"],
        "ports": [{"containerPort": 8082}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    metadata = {"name": NAME, "namespace": model.namespace, "annotations": SCRAPED}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    model.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def unanswered(model: Model) -> list[str]:
    """What the shop asked and got no good answer to."""
    return [line for line in model.api.log(model.namespace, NAME).splitlines() if line]


def _gateway(model: Model) -> str:
    """Where pods reach the gateway."""
    (service,) = model.api.list("Service", "envoy-gateway-system", "gateway.envoyproxy.io/owning-gateway-name=gateway")
    return str(service["spec"]["clusterIP"])
