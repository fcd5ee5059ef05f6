"""What jobs leave in /tmp."""

from __future__ import annotations

import os
from pathlib import Path

from tests.localcloud.jobs.place import cloud


def test_temporary_files_go_with_the_job(tmp_path: Path) -> None:
    """They lie in the job's own folder, whatever their rights, and neither the machine nor another job sees them."""
    name = f"left-{os.urandom(8).hex()}"
    with cloud(tmp_path / "c", sandbox="namespaces") as place:
        script = (
            f"for t in /tmp /var/tmp; do ! test -e $t/{name} && mkdir $t/{name} && chmod 0 $t/{name} || exit 1; done"
        )
        for _ in range(2):
            job = place.run("sh", "-c", script)
            assert job.status == "Completed", job.state
        assert not any(os.path.exists(f"{folder}/{name}") for folder in ("/tmp", "/var/tmp"))


def test_temporary_files_count_in_the_volume(tmp_path: Path) -> None:
    """A job that fills /tmp fails as one that fills its volume."""
    with cloud(tmp_path / "c", sandbox="namespaces", volume_limit=4_000_000) as place:
        job = place.run("sh", "-c", "head -c 9000000 /dev/zero > /tmp/zeros; sleep 60")
        assert "No space left on device" in (job.state.failure_reason or "")
