//! The model families: for each, one table of its config keys and tensor names.
//!
//! A family is data. Adding one means one file with a `FamilyTable`, one line of [`Family`], and their pairing in
//! [`table`]; the tests of this module fail while a table leaves a part of the block equation without a key or a tensor.

mod gpt2;
mod gpt_neox;
pub(crate) mod keys;
mod llama;
mod phi;
mod qwen2;
mod table;
pub(crate) mod templates;
#[cfg(test)]
mod tests;

pub(crate) use self::table::{FamilyTable, RotaryDefaults};

use crate::family::Family;

/// The table of a family.
pub(crate) fn table(family: Family) -> &'static FamilyTable {
    match family {
        Family::Gpt2 => &gpt2::TABLE,
        Family::GptNeoX => &gpt_neox::TABLE,
        Family::Phi => &phi::TABLE,
        Family::Llama => &llama::TABLE,
        Family::Qwen2 => &qwen2::TABLE,
    }
}
