//! `README.md`, written from the cases.
