//! Journeys through all five services at once: see `tests/journeys`. The library is empty.
