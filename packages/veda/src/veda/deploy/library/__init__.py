"""Where Ansible finds the module ``veda_env``: this folder belongs on ``ANSIBLE_LIBRARY``."""
