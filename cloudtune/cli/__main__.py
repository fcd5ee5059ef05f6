"""``python -m cloudtune.cli`` is the ``cloudtune`` command, where its script is not on the PATH."""

from __future__ import annotations

from cloudtune.cli import main

if __name__ == "__main__":
    main(prog_name="cloudtune")
