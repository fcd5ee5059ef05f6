"""The command that a job's container begins with: it starts the agent, if its archive is what was uploaded.

The archive is a program that Python could start by itself. But of one that was truncated or changed, Python would say
something about null bytes, or run whatever it now holds.
"""

from __future__ import annotations

from cloudtune.agent.protocol import BUNDLE

#: In what a job says whose archive is not what was uploaded, after its name.
DAMAGED = "was changed or damaged after it was uploaded"

#: So many digits of the digest of an archive's content are its folder's name.
DIGITS = 32

#: Runs a program that is given line by line, in whatever Python the image has: AWS takes no line ends in a command.
#: SAGEMAKER_BASE_DIR stands for /opt/ml where there is no container.
_SHELL = (
    'exec $(command -v python3 || command -v python) -c "$(printf \'%s\\n\' "$0" "$@")" '
    "${SAGEMAKER_BASE_DIR:-/opt/ml}/input/data/cloudtune/bundle.zip"
)
#: Compares the archive's content with its address, as :func:`cloudtune.aws.packaging.content_digest` does, and runs it.
#: Also Python 2 has to understand it, to be told by the archive what is wrong. The working directory, which Python
#: searches first, is not ours.
_PROGRAM = """\
import sys
del sys.path[0]
import zipfile
from hashlib import sha256
name = NAME
path = sys.argv[1]
why = ""
try:
  archive = zipfile.ZipFile(path)
  digest = sha256()
  for entry in archive.infolist():
    one = sha256()
    content = archive.open(entry)
    for piece in iter(lambda: content.read(1048576), b""):
      one.update(piece)
    line = (entry.filename, entry.external_attr >> 16 & 73 > 0, one.hexdigest())
    digest.update(("%s\\0%d\\0%s\\n" % line).encode("utf-8"))
  main = archive.read("__main__.py")
  if len(name) == DIGITS and digest.hexdigest()[:DIGITS] != name:
    why = "its content is not what its name says"
except Exception as error:
  why = type(error).__name__ + ": " + str(error)
if why:
  why = "the archive cloudtune/code/" + name + "/BUNDLE DAMAGED (" + why + "): launch again, which replaces it"
  try:
    with open(path.split("/input/data/")[0] + "/output/failure", "w") as failure:
      failure.write(why)
  except EnvironmentError:
    pass
  sys.exit(why)
sys.path.insert(0, path)
sys.argv = [path]
exec(compile(main, path, "exec"))
"""


def agent_entry_point(code_uri: str) -> list[str]:
    """``ContainerEntrypoint`` of a job with the agent.

    Args:
        code_uri: Of the folder with the archive, which is called after its content.
    """
    name = code_uri.rstrip("/").rpartition("/")[2]
    program = _PROGRAM
    for sign, text in (("NAME", repr(name)), ("DIGITS", str(DIGITS)), ("BUNDLE", BUNDLE), ("DAMAGED", DAMAGED)):
        program = program.replace(sign, text)
    return ["/bin/sh", "-c", _SHELL, *program.splitlines()]
