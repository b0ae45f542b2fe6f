"""The settings of exia: keys of ``[exia]`` in ``jiyuan.toml``, each also ``EXIA_<NAME>`` in the environment."""

from exia._house.config import Setting

#: The setting ``mirror`` where runs are not mirrored.
NOWHERE = "none"

SETTINGS: tuple[Setting, ...] = (
    Setting("runs", "sqlite://", "Where the records of runs are kept.", url=True),
    Setting("artifacts", "file://", "Where the files of runs are kept.", url=True),
    Setting("mirror", NOWHERE, "Where runs are copied to as well, such as mlflow://127.0.0.1:5000/research.", url=True),
    Setting("heartbeat", 10.0, "Seconds between two signs of life of a run."),
    Setting("objects", "file://", "Where the catalogue of models is kept.", url=True),
    Setting("blobs", "file://", "Where the bytes of models are kept.", url=True),
    Setting("params", "file://", "Where parameters are kept.", url=True),
    Setting("monitor", "jsonl://", "Where events and figures of pools are kept.", url=True),
    Setting("hide", "", "Further words, parted by blanks, that hide a field; -word takes one of Exia's own away."),
    Setting("signing_key", "", "PEM file of the Ed25519 key that signs models; one in the home by default."),
    Setting("trusted_keys", "", "Folder of the public keys whose models load; one in the home by default."),
    Setting("unpickle", "", "What a model in the format pickle may name: module:name, parted by blanks. Empty: none."),
    Setting("isolate", "off", "Whether models in the format isolated load: off, isolated, or unfenced."),
    Setting("isolate_memory", 4 << 30, "Bytes that the process of an isolated model may take; 0: no limit."),
    Setting("isolate_processors", 1, "Processors that the process of an isolated model may use; 0: all."),
    Setting(
        "isolate_timeout", 60.0, "Seconds after which a call of an isolated model, or its loading, is ended; 0: never."
    ),
)
