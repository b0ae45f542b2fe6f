"""The pool for asyncio, written from the sync one by ``scripts/async-pool``; ``hand.py`` is not."""
