"""The settings of ptolemy: keys of ``[ptolemy]`` in ``jiyuan.toml``, also ``PTOLEMY_<NAME>`` in the environment."""

from ptolemy._house.config import Setting

SETTINGS: tuple[Setting, ...] = (
    Setting("series", "arrow://", "Where rows are kept; arrow:// is the folder series in the home folder.", url=True),
    Setting("server", "", "Service that pt.api() asks, such as http://127.0.0.1:8100; empty reads the store itself."),
    Setting(
        "retention", "", "How long ptolemy serve --push keeps rows, such as ticks=5m stk_mins=400d; empty keeps all."
    ),
    Setting("services", "process://", "What keeps the components running; process:// keeps them itself.", url=True),
)
