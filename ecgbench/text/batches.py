"""Prompts of like length in batches, as large as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ecgbench.errors import EcgbenchError

# Tokens of a batch, padding counted: a few hundred MB of activations for a model of 8 billion parameters, and enough
# to keep any processor busy.
MOST_TOKENS = 4096


def budget(free: int, per_token: int) -> int:
    """Tokens of the first batch: what half of the free bytes holds, from 1 to MOST_TOKENS."""
    return max(1, min(MOST_TOKENS, free // (2 * max(1, per_token))))


def batches(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """The row numbers in batches of like length, each of at most `tokens` with its padding; a row that is longer stands
    alone."""
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: lengths[row]):
        if batch and (len(batch) + 1) * lengths[row] > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def run_batches(name: str, lengths: Sequence[int], tokens: int, work: Callable[[list[int]], None]) -> int:
    """Call `work` with every row number once, in batches of at most `tokens`; where memory runs out the same rows come again
    in batches of half as many tokens (accelerate's `find_executable_batch_size` would begin all rows again, and collects
    garbage before every call). Returns the tokens that were possible. EcgbenchError where one row alone is too much; `name`
    is the tower's."""
    from accelerate.utils.memory import clear_device_cache

    waiting = set(range(len(lengths)))
    while waiting:
        too_many = _work_through(waiting, lengths, tokens, work)
        if len(too_many) == 1:
            raise EcgbenchError(
                f"text tower {name}: memory ran out on one prompt of {lengths[too_many[0]]} tokens alone: close what else is "
                "running there, or type --text-device cpu, spread or disk, or --text-pack FILE (an embedding pack)."
            )
        if too_many:
            tokens = min(tokens, sum(lengths[row] for row in too_many)) // 2
            clear_device_cache(garbage_collection=True)
    return tokens


def _work_through(
    waiting: set[int], lengths: Sequence[int], tokens: int, work: Callable[[list[int]], None]
) -> list[int]:
    """Take from `waiting` what is done; the rows of the batch for which memory ran out, [] where it never did."""
    from accelerate.utils.memory import should_reduce_batch_size

    for rows in batches(sorted(waiting), lengths, tokens):
        try:
            work(rows)
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            return rows
        waiting.difference_update(rows)
    return []
