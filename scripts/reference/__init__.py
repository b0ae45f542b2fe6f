"""Write the pages of ``docs/`` that say what the code says: commands, settings, names, figures, imports.

``python -m scripts.reference`` writes them, ``python -m scripts.reference --check`` names those that are stale.
"""
