"""How much memory the process took at most, for the runner to learn from."""

import sys
from typing import Dict


def peaks() -> Dict[str, int]:
    """`peak_rss_bytes` of this process and its largest child; `peak_vram_bytes` of the fullest GPU
    where torch was used. Nothing is imported or initialised for it that the model did not."""
    found = {"peak_rss_bytes": _resident(), "peak_vram_bytes": _on_gpu()}
    return {name: value for name, value in found.items() if value > 0}


def _resident() -> int:
    try:
        import resource
    except ImportError:
        return 0
    largest = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest if sys.platform == "darwin" else largest * 1024


def _on_gpu() -> int:
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return 0
        devices = range(torch.cuda.device_count())
        return max((int(torch.cuda.max_memory_allocated(device)) for device in devices), default=0)
    except Exception:  # a figure is never worth a result
        return 0
