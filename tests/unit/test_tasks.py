"""What is known of a task, from one text to columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch, concat
from ior.expr import compile_filter
from ior.names import Names
from ior.tasks import COLUMNS, Task, task_of
from ior.testing import calls

ID = "0123456789abcdef" * 4


def of(cgroup: str, names: Names | None = None, **columns: int) -> Batch:
    names = names or Names()
    task = names.intern(Task(1, 1000, 77, cgroup).text())
    return calls(rows=1, names=names, task=task, **columns)


@given(
    st.builds(
        Task,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 10**18 - 1),
        st.text(),
    )
)
def test_what_is_written_is_read(task: Task) -> None:
    assert task_of(task.text()) == task


@pytest.mark.parametrize("text", ["", "1 2", "x", "1 2 3", "-1 2 3 /", "1 2 x /x"])
def test_other_text_is_no_task(text: str) -> None:
    assert task_of(text) is None


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"/system.slice/docker-{ID}.scope", ID),
        (f"/docker/{ID}", ID),
        (f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", ID),
        (f"/kubepods/besteffort/pod{ID[:32]}/{ID}", ID),
        (f"/machine.slice/libpod-{ID}.scope/container", ID),
        (f"/docker/{'f' * 64}/docker/{ID}", ID),
        ("/lxc.payload.web/init.scope", "web"),
        ("/lxc/web", "web"),
        ("/system.slice/sshd.service", ""),
        (f"/{ID}a", ""),
        ("/", ""),
    ],
)
def test_a_container_is_known_by_its_cgroup(cgroup: str, container: str) -> None:
    batch = of(cgroup)
    assert batch.text("container") == [container]
    assert batch.text("cgroup") == [cgroup]
    assert [batch[name].tolist() for name in ("ppid", "uid", "cgroup_id")] == [[1], [1000], [77]]


def test_without_a_task_every_column_is_empty() -> None:
    (row,) = calls(rows=1).rows()
    assert {name: row[name] for name in COLUMNS} == {
        **dict.fromkeys(("ppid", "uid", "cgroup_id")),
        **dict.fromkeys(("cgroup", "container"), ""),
    }


def test_a_filter_asks_of_names_that_it_makes_itself() -> None:
    keep = compile_filter('uid == 1000 and cgroup ~ "sshd"')
    assert keep(of("/system.slice/sshd.service")).tolist() == [True]
    assert keep(of("/system.slice/cron.service")).tolist() == [False]


def test_batches_that_are_joined_keep_their_tasks() -> None:
    names = Names()
    one, two = of("/a", names), of("/b", names)
    assert concat([one, two]).text("cgroup") == ["/a", "/b"]
    assert concat([calls(rows=1, names=names), two]).text("cgroup") == ["", "/b"]
