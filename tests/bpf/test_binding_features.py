"""What a kernel lacks is named, by doctor and by the run that cannot begin."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import pytest

from ior.errors import UnsupportedHost
from ior.sources.bpf import features
from ior.sources.bpf.errors import BpfError
from ior.sources.bpf.loader import ObjectSpec

pytestmark = pytest.mark.kernel


def test_this_kernel_has_all_of_them() -> None:
    assert [each.name for each in features.FEATURES if not each.exists()] == []
    assert features.lacking() is None


def test_a_helper_and_a_map_that_no_kernel_has_are_lacking() -> None:
    assert not features._helper(9999)()
    assert not features._map(9999)()


def test_a_refusal_names_the_newest_feature_that_is_lacking(
    monkeypatch: pytest.MonkeyPatch, open_bpf: Callable[[str], ObjectSpec]
) -> None:
    # A program that no verifier takes stands for one that this kernel does not.
    text = 'SEC("tp_btf/sys_enter")\nint probe(__u64 *ctx) { return *(int *)bpf_ktime_get_ns(); }'
    with open_bpf(text) as spec, pytest.raises(BpfError) as plain:
        features.load(spec)
    assert not isinstance(plain.value, UnsupportedHost)
    old = [
        each if each.name == "the ring buffer" else each._replace(exists=lambda: False)
        for each in features.FEATURES
    ]
    monkeypatch.setattr(features, "FEATURES", old[:3])
    with open_bpf(text) as spec, pytest.raises(UnsupportedHost) as lacking:
        features.load(spec)
    assert "lacks task storage: it needs Linux 5.11 or newer" in str(lacking.value)
    assert lacking.value.exit_code == 69


def test_the_object_loads() -> None:
    image = resources.files("ior").joinpath("data/ior.bpf.o").read_bytes()
    with ObjectSpec(image, name="ior") as spec, features.load(spec) as loaded:
        assert loaded.programs
