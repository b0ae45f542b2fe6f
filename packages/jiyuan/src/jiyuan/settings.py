"""The settings of jiyuan: keys of ``[jiyuan]`` in ``jiyuan.toml``, each also ``JIYUAN_<NAME>`` in the environment."""

from jiyuan._house.config import Setting

SETTINGS: tuple[Setting, ...] = (
    Setting("lab_port", 8400, "Port of the lab on 127.0.0.1."),
    Setting("lab_tracker_port", 8401, "Port of the lab's MLflow on 127.0.0.1."),
    Setting("lab_login", "password", "How users of the lab sign in: password (one for all), or pam (this machine's)."),
    Setting("lab_hosts", "", "Names, parted by blanks, by which the lab is called besides 127.0.0.1 and localhost."),
)
