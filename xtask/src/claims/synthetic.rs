//! Results as the paper would have them, for tests.
