"""What the backend keeps its data in: PostgreSQL for items and vectors, S3 for pictures."""

from prethrift_backend.stores._statements import observe_engine
from prethrift_backend.stores.images import ImageNotFoundError, ImageStore, StoredImage, StoredKey
from prethrift_backend.stores.postgres import PoolFigures, Postgres

__all__ = ["ImageNotFoundError", "ImageStore", "PoolFigures", "Postgres", "StoredImage", "StoredKey", "observe_engine"]
