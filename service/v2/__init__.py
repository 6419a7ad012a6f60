"""The Open Inference Protocol (v2) over REST, as Triton and KServe speak it, binary tensors included.

What was chosen where the protocol is silent: docs/decisions/0013-open-inference-protocol.md.
"""
