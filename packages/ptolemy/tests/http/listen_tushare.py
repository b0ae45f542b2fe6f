"""Run by the public Tushare client in an environment of its own: listen at argv[1] and print each record.

Not a test module: `test_listening` pushes rows and compares what this prints.
"""

import json
import sys

import tushare as ts

app = ts.subs("any" if len(sys.argv) < 3 else sys.argv[2])
app.url = sys.argv[1]


@app.register(topic="HQ_STK_MIN", codes=["1MIN:*.SH"])
def minutes(record):
    print("RECORD", json.dumps(["minutes", record]), flush=True)


@app.register(topic="HQ_STK_TICK", codes=["000001.SZ"])
def ticks(record):
    print("RECORD", json.dumps(["ticks", record]), flush=True)


app.run()
