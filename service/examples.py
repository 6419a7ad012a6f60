"""An example of each answer, for the API's description; a test holds them to their schemas."""

from typing import Any

CLASSIFICATION: dict[str, Any] = {
    "model": "fashion-mnist",
    "version": "2",
    "id": "f8860279e9a74465a890f7b7b7727b8b",
    "predictions": [
        {"label": "Ankle boot", "score": 0.9892773628234863},
        {"label": "Sandal", "score": 0.003936600871384144},
        {"label": "Pullover", "score": 0.0035278210416436195},
    ],
    "decision": "accept",
    "threshold": 0.9713614583015442,
}

_SUMMARY: dict[str, Any] = {"name": "top-bottom", "version": "1", "status": "ready", "reason": None}

MODELS: dict[str, Any] = {
    "models": [
        _SUMMARY,
        {
            "name": "furniture",
            "version": "4",
            "status": "failed",
            "reason": "models/furniture/4/card.json cannot be read (No such file or directory); "
            "a model needs its card beside it.",
        },
    ]
}

MODEL: dict[str, Any] = _SUMMARY | {
    "labels": {"stable": "1", "canary": "2"},
    "canary_share": 0.05,
    "shadow_share": 0.0,
    "failures": [],
    "card": {
        "schema_version": 1,
        "name": "top-bottom",
        "description": "Says whether a phone photo shows something to wear on top or below.",
        "created": "2026-11-21T07:13:06Z",
        "labels": ["tops", "bottoms"],
        "input": {"height": 192, "width": 144, "channels": 3, "resize": {"fit": "pad", "filter": "area"}},
        "temperature": 0.3685372816860654,
        "accept_threshold": 0.7006117701530457,
        "accept_precision": 0.99,
        "figures": {
            "test": {
                "count": 272,
                "accuracy": 0.9963235294117647,
                "accuracy_interval": [0.9794724120165181, 0.9993507175968905],
                "log_loss": 0.0069378321704691645,
                "calibration_error": 0.004556902848622378,
                "accepted_share": 1.0,
                "accepted_precision": 0.9963235294117647,
            }
        },
        "data": {
            "name": "clothing-small",
            "source": "clothing-small",
            "licence": "CC0",
            "digest": "sha256:b59fc395462fd6db94304a84739cff68f1703cba1a180b775d3828b3165d223c",
            "counts": {"train": 2506, "validation": 269, "test": 272},
        },
        "weights": {
            "network": "MobileNetV2 0.35, fine-tuned",
            "parameters": 412770,
            "initial": "ImageNet, seed 1",
            "licence": "Apache-2.0",
        },
        "code_revision": "6941de1a1f3980b51b757afa5a9f85624dc045f1",
        "files": {"model.onnx": "sha256:5f9def89026ff730e5d1084a8680dbca903aaf4ea75f7def7c0642e7c641f453"},
        "version": "1",
        "export": {
            "opset": 18,
            "precision": "float32",
            "nodes": 105,
            "transposes": 1,
            "max_abs_difference": 1.1920928955078125e-07,
            "model_bytes": 1665893,
            "golden_tolerance": 0.001,
            "quantised": None,
            "tools": {"keras": "3.12.0", "onnxruntime": "1.22.0"},
        },
    },
}

FIGURES: dict[str, Any] = {
    "schema_version": 1,
    "name": "top-bottom",
    "test": {"labels": [{"label": "tops", "recall": 0.995}], "confusion": [[187, 1], [0, 84]]},
}

VERSIONS: dict[str, Any] = {
    "versions": [
        {
            "version": "1",
            "labels": ["stable"],
            "created": "2026-11-21T07:13:06Z",
            "precision": "float32",
            "model_bytes": 1665893,
            "test": MODEL["card"]["figures"]["test"],
        }
    ]
}

REPORT = "<!doctype html><title>top-bottom</title>"

METRICS = 'hangtag_items_total{model_name="top-bottom",model_version="1",outcome="ok"} 1027.0\n'

LIVE: dict[str, Any] = {"status": "live", "models": {}}
STARTING: dict[str, Any] = {"status": "starting", "models": {"top-bottom": "ready", "furniture": "loading"}}
STARTED: dict[str, Any] = {"status": "started", "models": {"top-bottom": "ready", "furniture": "failed"}}
READY: dict[str, Any] = {"status": "ready", "models": {"top-bottom": "ready", "furniture": "ready"}}
DRAINING: dict[str, Any] = {"status": "draining", "models": {"top-bottom": "ready", "furniture": "ready"}}
