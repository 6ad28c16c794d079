"""Items, their pictures' whereabouts and their vectors.

Written as SQL: a revision must mean the same in ten years, whatever the tables of the code look like by then.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_CREATE_ITEMS = """
CREATE TABLE items (
    id uuid PRIMARY KEY,
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    category text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    currency char(3) NOT NULL DEFAULT 'EUR',
    picture_key text NOT NULL UNIQUE,
    picture_media_type text NOT NULL,
    picture_width integer NOT NULL CHECK (picture_width > 0),
    picture_height integer NOT NULL CHECK (picture_height > 0),
    picture_bytes integer NOT NULL CHECK (picture_bytes > 0),
    clip_vector vector(512) NOT NULL,
    text_vector vector(384) NOT NULL,
    search_words tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('english', category), 'B')
        || setweight(to_tsvector('english', description), 'C')
    ) STORED,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""


def upgrade() -> None:
    """Create the extension, the table and its indexes."""
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.execute(_CREATE_ITEMS)
    # m and ef_construction are pgvector's defaults; recall at ef_search 200 is measured by the session `perf`.
    op.execute("CREATE INDEX items_clip_vector_hnsw ON items USING hnsw (clip_vector vector_cosine_ops)")
    op.execute("CREATE INDEX items_text_vector_hnsw ON items USING hnsw (text_vector vector_cosine_ops)")
    op.execute("CREATE INDEX items_search_words_gin ON items USING gin (search_words)")
    op.execute("CREATE INDEX items_category ON items (category)")
    op.execute("CREATE INDEX items_price ON items (price)")


def downgrade() -> None:
    """Drop the table; the extension stays, since others may use it."""
    op.execute("DROP TABLE items")
