//! Reading corpora: the rules of each format, what is refused, and laws.

mod arbitrary;
mod fixtures;
mod formats;
mod goldens;
mod parquet;
mod real;
mod refused;
mod tokenizer;
