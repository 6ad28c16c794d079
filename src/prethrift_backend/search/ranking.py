"""How several rankings become one: reciprocal rank fusion.

Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
SIGIR 2009: the score of an item is the sum, over the rankings it appears in, of 1 / (k + rank). Ranks are used, not
similarities: those of two models, and of words, are on scales that do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The constant of the paper, found there by experiment and little sensitive.
RANK_CONSTANT = 60

# Equal, as in the paper: any other weights would have to be earned on judged searches, of which there are none yet.
SOURCE_WEIGHTS = {"picture": 1.0, "text": 1.0, "words": 1.0}

# Candidates of each source. As many as the pages reach, so that a page never changes the order of another.
CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class SourceRank:
    """Why a source proposed an item: its rank there, from 1, and how similar it is on that source's own scale."""

    rank: int
    similarity: float


def fused_score(ranks: Mapping[str, int]) -> float:
    """Return the score of an item that has these ranks by source; the same sum as the statement's."""
    return sum(SOURCE_WEIGHTS[source] / (RANK_CONSTANT + rank) for source, rank in ranks.items())
