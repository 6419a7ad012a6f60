"""What a model is: its card, its pixels, its repository, its session and its answers.

Every other package may import this one; it imports none of them.
"""

import os

# onnxruntime would write a device id and an event log into the home folder when it is imported; this must come before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
