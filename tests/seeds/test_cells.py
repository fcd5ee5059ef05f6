"""How code cells are told from prose and output."""

from __future__ import annotations

from tests.seeds.cells import cells_of_markdown, cells_of_page, script_of

_MARKDOWN = """
# A chapter

```{.python .input  n=17}
%load_ext some.thing
tab.interact_select(["pytorch"])
x = 1
```

Words, and a block of another language:

```bash
pip install syne-tune
```

```{.python .input}
from syne_tune import Tuner

y = x
```
"""

_PAGE = """19.5. A Title
Open the notebook

import logging
from syne_tune import Tuner
INFO:root:something
   pip install 'syne-tune[extra]'

We define a function, as before:

def f(x):
    y = x

    return y

n = 2  # workers
scheduler = make(
    n,
    mode="min",
)
INFO:syne_tune.optimizer:seed = 3140976097
logging.info(f(n))
plot(n)
for i in range(n):
    f(
        i
    )
logging.info("done")
Text(0, 0.5, 'done')
--------------------
Discussions"""


def test_markdown_cells_are_taken_verbatim_without_magics() -> None:
    """Only fenced Python cells are taken, and only the lines a notebook alone understands are left out."""
    assert cells_of_markdown(_MARKDOWN) == ["x = 1\n", "from syne_tune import Tuner\n\ny = x\n"]


def test_page_statements_are_told_from_prose_and_output() -> None:
    """Statements come whole and in order; prose, log lines and printed values do not come along."""
    cells = cells_of_page(_PAGE)
    assert cells == [
        "import logging",
        "from syne_tune import Tuner",
        "def f(x):\n    y = x\n\n    return y",
        "n = 2  # workers",
        'scheduler = make(\n    n,\n    mode="min",\n)',
        "logging.info(f(n))",
        "for i in range(n):\n    f(\n        i\n    )",
        'logging.info("done")',
    ]


def test_only_the_name_is_replaced() -> None:
    """The script is the cells, with the package's name replaced wherever it stands."""
    assert script_of(["import syne_tune", "def a_synetune():\n    pass  # Syne Tune"]) == (
        "import cloudtune\n\ndef a_synetune():\n    pass  # Syne Tune\n"
    )
