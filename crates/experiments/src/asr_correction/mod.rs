//! Correction of a recogniser's transcripts: the records that its runs write.

pub mod table;
