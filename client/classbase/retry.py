"""When a failed call is tried again, and how long to wait before."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import tenacity

from classbase.errors import ClassbaseError, RateLimited


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a call is repeated; `RetryPolicy(attempts=1)` never repeats.

    Only errors that say `retryable` are retried, decided by code and never by HTTP status. When the connection broke
    and nobody knows whether the call was done, it is repeated only if that cannot do it twice: it reads only, or it
    carries an idempotency key (the client makes one for every function that takes it).

    Attributes:
        attempts: how often a call is made at most.
        first_wait: seconds before the second attempt, doubled for each one after it; every wait is drawn at random
            between half of that and all of it, so that a crowd does not come back at once.
        longest_wait: seconds no wait exceeds. A rate limit that asks for more is not waited for.
    """

    attempts: int = 5
    first_wait: float = 0.1
    longest_wait: float = 5.0

    def wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next attempt."""
        error = state.outcome.exception() if state.outcome else None
        wished = min(self.longest_wait, self.first_wait * 2.0 ** (state.attempt_number - 1))
        # Not for secrets: it only spreads the crowd.
        jittered = wished * random.uniform(0.5, 1.0)  # noqa: S311
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after + jittered - wished / 2
        return jittered

    def may_repeat(self, error: BaseException, *, repeatable: bool) -> bool:
        """Whether a call that failed so may be made again.

        Args:
            repeatable: whether doing the call twice has the effect of doing it once.
        """
        if not isinstance(error, ClassbaseError) or not error.retryable:
            return False
        if isinstance(error, RateLimited) and (error.retry_after or 0.0) > self.longest_wait:
            return False
        return repeatable or not error.outcome_unknown

    def options(self, *, repeatable: bool) -> dict[str, Any]:
        """The arguments of tenacity's `Retrying` and `AsyncRetrying`."""
        return {
            "stop": tenacity.stop_after_attempt(max(1, self.attempts)),
            "wait": self.wait,
            "retry": tenacity.retry_if_exception(lambda error: self.may_repeat(error, repeatable=repeatable)),
            "reraise": True,
        }
