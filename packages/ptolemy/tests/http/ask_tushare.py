"""Run by the public Tushare client in an environment of its own: ask the service at argv[1] and print JSON.

Not a test module: `test_tushare_clients` compares what this prints with what our client gives.
"""

import json
import os
import sys
import warnings

warnings.simplefilter("ignore")
os.environ.pop("TUSHARE_TOKEN", None)

import tushare as ts  # noqa: E402
from tushare.pro import client  # noqa: E402

asked = json.loads(sys.stdin.read())
# The addresses that the clients have by themselves: with the name of the interface behind it, or none.
new = tuple(int(word) for word in ts.__version__.split(".")) >= (1, 4, 14)
client.DataApi._DataApi__http_url = sys.argv[1] + ("/dataapi" if new else "")
pro = ts.pro_api(asked["token"])


def plain(frame):
    if frame is None:
        return None
    return {
        "columns": list(frame.columns),
        "numbers": [c for c in frame.columns if str(frame[c].dtype).startswith("float")],
        "rows": json.loads(frame.to_json(orient="values", double_precision=15)),
    }


def ask(kind, words):
    try:
        if kind == "pro_bar":
            return plain(ts.pro_bar(api=pro, **words))
        return plain(getattr(pro, kind)(**words))
    except Exception as exc:
        return {"error": str(exc)}


print(json.dumps({"version": ts.__version__, "answers": [ask(*a) for a in asked["calls"]]}))
