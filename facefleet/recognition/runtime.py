"""ONNX Runtime, as every network here runs in it: on one thread, quietly, in little memory."""

from pathlib import Path

from onnxruntime import InferenceSession as Session
from onnxruntime import SessionOptions

__all__ = ["Session", "open_session"]


def open_session(model: Path | bytes) -> Session:
    """A session on one thread; raises what ONNX Runtime raises, for which it has no common class."""
    options = SessionOptions()
    # A worker is one process on one core: more threads would wait for each other, spinning.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena and the pattern keep a plan per batch size: 4 MB more here, for no time gained.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    # Errors alone, which come as exceptions too; the rest is about other machines' devices.
    options.log_severity_level = 3
    return Session(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # which would print to stdout, and then try the same again
    )
