"""Containers without namespaces."""

from __future__ import annotations

import sys

import pytest

from cloudtune.localcloud.sandbox.sandbox import ContainerStartFailed
from tests.localcloud.sandbox.contract import SandboxContract
from tests.localcloud.sandbox.place import DAEMON, ENDLESS, Place, children, marked, until

SHOW = "import os, sys; print(*sys.argv[1:], *(os.environ[n] for n in sys.argv[1].split(',')), os.getcwd(), sep='|')"


class TestFolders(SandboxContract):
    kind = "folders"

    def test_the_job_is_told_its_folder(self, place: Place) -> None:
        """AWS's toolkit and our agent find it in the environment."""
        folder = place.ml_folder()
        names = "SAGEMAKER_BASE_DIR,CLOUDTUNE_ML_FOLDER,SM_STUDIO_LOCAL_MODE"
        out = place.run([sys.executable, "-S", "-c", SHOW, names], ml_folder=folder)[1]
        assert out == f"{names}|{folder}|{folder}|True|{folder}/code\n"
        assert place.sandbox.ml_path(folder) == folder

    def test_temporary_files_go_to_the_jobs_folder(self, place: Place) -> None:
        """TMPDIR says so, unless the job was given another."""
        command, temporary = [sys.executable, "-S", "-c", SHOW, "TMPDIR"], {"/tmp": "/its/own", "/var/tmp": "/other"}
        assert place.run(command, temporary=temporary)[1].startswith("TMPDIR|/its/own|")
        assert place.run(command, environment={"TMPDIR": "/x"}, temporary=temporary)[1].startswith("TMPDIR|/x|")

    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            ("/opt/ml", "{ml}"),
            ("/opt/ml/model", "{ml}/model"),
            ("--dir=/opt/ml/model:/opt/ml/x", "--dir={ml}/model:{ml}/x"),
            ('{"a": "/opt/ml/b"}', '{"a": "{ml}/b"}'),
            ("file:///opt/ml/model", "file://{ml}/model"),
            ("s3://bucket/opt/ml/model", "s3://bucket/opt/ml/model"),
            ("/opt/mlflow", "/opt/mlflow"),
            ("/data/opt/ml", "/data/opt/ml"),
            ("chmod +x /opt/ml/a.sh && /opt/ml/a.sh", "chmod +x {ml}/a.sh && {ml}/a.sh"),
        ],
    )
    def test_opt_ml_is_replaced_where_it_is_a_path(self, place: Place, given: str, seen: str) -> None:
        """In arguments and environment alike; what only looks like it stays."""
        folder = place.ml_folder()
        wanted = seen.replace("{ml}", folder)
        command = [sys.executable, "-S", "-c", SHOW, "V", given]
        assert (
            place.run(command, environment={"V": given}, ml_folder=folder)[1] == f"V|{wanted}|{wanted}|{folder}/code\n"
        )

    def test_a_job_without_network_is_refused(self, place: Place) -> None:
        """Isolation that is not there must not be promised."""
        with pytest.raises(ContainerStartFailed, match="needs namespaces"):
            place.start("pass", network=False)

    def test_a_process_of_the_session_without_the_mark_dies_too(self, place: Place) -> None:
        """Clearing the environment is not enough to outlive the container."""
        program = f"""
import os, sys
read, write = os.pipe()
os.set_inheritable(write, True)
if os.fork() == 0:
    os.execve({sys.executable!r}, [{sys.executable!r}, "-S", "-c",
        "import os, signal, sys; os.write(int(sys.argv[1]), b'%d' % os.getpid()); os.close(int(sys.argv[1]))\\n"
        "while True: signal.pause()", str(write)],
        {{"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"], "MARK": "{place.folder}"}})
os.close(write)
print(os.read(read, 20).decode())
"""
        code, out = place.run(program)
        assert code == 0
        assert out.strip().isdigit()
        assert marked(str(place.folder)) == []

    def test_other_containers_live_on(self, place: Place) -> None:
        """The end of one is not the end of another."""
        with place.start(DAEMON + ENDLESS, environment={"MARK": str(place.folder)}) as running:
            running.line()
            place.run(DAEMON)
            assert len(marked(str(place.folder))) == 2
            until(lambda: running.container.exit_code() is None)
            assert children(running.container.pid) == []
