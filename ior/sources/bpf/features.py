"""What ior's programs need of a kernel, feature by feature.

Distributions carry features back to older kernels, so a version says little: each is tried. What
a kernel lacks has one sentence, whether `ior doctor` says it or a run that cannot begin.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ior.errors import UnsupportedHost
from ior.sources.bpf.errors import BpfError, BpfPermissionError
from ior.sources.bpf.lib import libbpf
from ior.sources.bpf.loader import Object, ObjectSpec

VMLINUX: Final = Path("/sys/kernel/btf/vmlinux")
_RINGBUF, _TASK_STORAGE = 27, 29  # enum bpf_map_type
_RAW_TRACEPOINT = 17  # enum bpf_prog_type
_LOOP = 181  # enum bpf_func_id


class Feature(NamedTuple):
    """Something that a kernel has, or has not."""

    name: str
    remedy: str
    exists: Callable[[], bool]


def _map(kind: int) -> Callable[[], bool]:
    return lambda: libbpf().libbpf_probe_bpf_map_type(kind, None) > 0


def _helper(number: int) -> Callable[[], bool]:
    return lambda: libbpf().libbpf_probe_bpf_helper(_RAW_TRACEPOINT, number, None) > 0


FEATURES: Final = (
    Feature("types (BTF)", "use a kernel built with CONFIG_DEBUG_INFO_BTF=y", VMLINUX.exists),
    Feature("the ring buffer", "it needs Linux 5.8 or newer", _map(_RINGBUF)),
    Feature("task storage", "it needs Linux 5.11 or newer", _map(_TASK_STORAGE)),
    Feature("bpf_loop", "it needs Linux 5.17 or newer", _helper(_LOOP)),
)
"""In the order in which Linux got them."""


def lacking() -> Feature | None:
    """Return the last feature that this kernel lacks: what brings it brings the others too."""
    return next((each for each in reversed(FEATURES) if not each.exists()), None)


def load(spec: ObjectSpec) -> Object:
    """Load ior's programs.

    Raises:
        UnsupportedHost: the kernel lacks a feature, which the message names.
        BpfError: as `ObjectSpec.load`.
    """
    try:
        return spec.load()
    except BpfPermissionError:
        raise
    except BpfError as error:
        feature = lacking()
        if feature is None:
            raise
        raise UnsupportedHost(
            f"this kernel, Linux {platform.release()}, lacks {feature.name}: {feature.remedy}"
        ) from error
