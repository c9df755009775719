//! Everything is in `tests/journeys`.
