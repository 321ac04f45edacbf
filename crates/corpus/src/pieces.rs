//! Whether a token begins or continues a word.

/// The part of a word that a token is.
///
/// ```
/// use layerwise_corpus::Piece;
///
/// let bytes = [" un", "broken", ","].map(|text| Some(text.as_bytes().to_vec()));
/// let found = Piece::of_sequence(&[0, 1, 2], &bytes);
/// assert_eq!(found, [Some(Piece::First), Some(Piece::Continuing), Some(Piece::None)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// It has no letter or digit, such as punctuation or spaces.
    None,
    /// It begins a word, or is a whole word.
    First,
    /// Its first character continues the word of the token before it.
    Continuing,
}

impl Piece {
    /// Classifies each token of a sequence, given the bytes of every token of the vocabulary; `None` stands for tokens without
    /// bytes.
    ///
    /// A token continues a word if it begins with a letter or a digit, or within a character, and the token before it ends with
    /// one. Bytes other than ASCII count as letters. The first token of a sequence continues nothing.
    pub fn of_sequence(tokens: &[u32], bytes: &[Option<Vec<u8>>]) -> Vec<Option<Self>> {
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        let mut within = false;
        let of = |token: &u32| {
            let own = bytes.get(*token as usize).and_then(Option::as_ref);
            let Some(own) = own.filter(|own| !own.is_empty()) else {
                within = false;
                return None;
            };
            let continues = within && own.first().is_some_and(is_of_word);
            within = own.last().is_some_and(is_of_word);
            Some(match own.iter().any(is_of_word) {
                _ if continues => Self::Continuing,
                true => Self::First,
                false => Self::None,
            })
        };
        tokens.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_continues_what_stands_before_it() {
        let bytes: Vec<Option<Vec<u8>>> = [" un", "break", "able", ",", " a", "\u{e4}", "-"]
            .iter()
            .map(|text| Some(text.as_bytes().to_vec()))
            .chain([None])
            .collect();
        let check = |tokens: &[u32], expected: &str| {
            let found = Piece::of_sequence(tokens, &bytes).into_iter();
            let found: String = found
                .map(|piece| match piece {
                    None => '?',
                    Some(Piece::None) => '.',
                    Some(Piece::First) => 'F',
                    Some(Piece::Continuing) => 'c',
                })
                .collect();
            assert_eq!(found, expected, "{tokens:?}");
        };
        check(&[0, 1, 2, 3, 4], "Fcc.F");
        check(&[1, 3, 1, 6, 1], "F.F.F");
        check(&[0, 5, 7, 1, 99], "Fc?F?");
    }
}
