"""Which fields of an InferenceService KServe's own models do not know, or know as another kind: JSON in, JSON out.

.venv-clients/bin/python tests/inference_service.py < inference_service.json
"""

import json
import re
import sys
from typing import Any

import kserve
import kubernetes.client

SCALARS = {"str": str, "int": int, "bool": bool, "object": object, "ResourceQuantity": str}
OTHER_NAMES = {"K8sIoApiAppsV1DeploymentStrategy": "V1DeploymentStrategy"}


def unknown(value: Any, kind: str, path: str = "") -> list[str]:
    """A line for each field that the kind does not have, or that has another kind."""
    many = re.fullmatch(r"(?i)(list|dict)[\[(](?:str, )?(.*)[\])]", kind)
    if many and isinstance(value, list if many[1].lower() == "list" else dict):
        places = value.items() if isinstance(value, dict) else enumerate(value)
        return [line for place, each in places for line in unknown(each, many[2], f"{path}[{place}]")]
    if kind in SCALARS:
        return [] if isinstance(value, SCALARS[kind]) else [f"{path} is no {kind}"]
    name = OTHER_NAMES.get(kind, kind)
    model = getattr(kserve, name, None) or getattr(kubernetes.client, name, None)
    if model is None or not isinstance(value, dict):
        return [f"{path} is no {kind}"]
    fields = {model.attribute_map[field]: of for field, of in model.openapi_types.items()}
    strangers = [f"{path}.{field} is no field of {kind}" for field in value.keys() - fields.keys()]
    known = value.keys() & fields.keys()
    return strangers + [line for field in known for line in unknown(value[field], fields[field], f"{path}.{field}")]


json.dump(unknown(json.load(sys.stdin), "V1beta1InferenceService"), sys.stdout)
