"""What all five libraries need alike; one source in ``scripts/house/``, laid here by ``make house``.

Edit the source, never a laid copy: a test asserts that all copies are the same bytes. This folder
knows no word of any library's domain (``docs/decisions/0001-one-house-no-sixth-package.md``).
"""
