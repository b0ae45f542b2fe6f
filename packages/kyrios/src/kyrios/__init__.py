"""kyrios: Render workflows from units and templates: local, Airflow, Celery, Ray, Dask."""

from kyrios.errors import KyriosError

__all__ = ["KyriosError"]
