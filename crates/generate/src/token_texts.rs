//! The bytes of each token.

/// Longer tokens count as having no text.
const LONGEST: usize = 1024;

/// The bytes that each token of a vocabulary adds to a text, sorted so that tokens with a common beginning are neighbours.
///
/// A token may be part of a character, as in a byte-level encoding.
#[derive(Clone, Debug)]
pub struct TokenTexts {
    /// Sorted by their bytes; none is empty.
    sorted: Vec<(Vec<u8>, u32)>,
    /// The size of the vocabulary, including tokens without text.
    vocab: usize,
}

impl TokenTexts {
    /// From the bytes of each token, in the order of ids. Tokens without bytes, such as special tokens, have no text.
    pub fn new(tokens: impl IntoIterator<Item = Option<Vec<u8>>>) -> Self {
        let mut vocab = 0;
        let mut sorted = Vec::new();
        for (token, bytes) in (0..).zip(tokens) {
            vocab += 1;
            let bytes = bytes.filter(|bytes| (1..=LONGEST).contains(&bytes.len()));
            sorted.extend(bytes.map(|bytes| (bytes, token)));
        }
        sorted.sort_unstable();
        Self { sorted, vocab }
    }

    /// The size of the vocabulary.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Calls `found` with every token whose bytes an automaton accepts from a state.
    pub(crate) fn follow<S>(
        &self,
        state: &S,
        step: &impl Fn(&S, u8) -> Option<S>,
        found: &mut impl FnMut(u32),
    ) {
        follow(&self.sorted, 0, state, step, found);
    }

    /// The bytes of a token.
    pub(crate) fn bytes(&self, token: u32) -> Option<&[u8]> {
        let found = self.sorted.iter().find(|(_, id)| *id == token);
        found.map(|(bytes, _)| &bytes[..])
    }
}

/// `tokens` share their first `depth` bytes, which took the automaton to `state`.
fn follow<S>(
    mut tokens: &[(Vec<u8>, u32)],
    depth: usize,
    state: &S,
    step: &impl Fn(&S, u8) -> Option<S>,
    found: &mut impl FnMut(u32),
) {
    while let Some((first, token)) = tokens.first() {
        let Some(byte) = first.get(depth) else {
            found(*token);
            tokens = &tokens[1..];
            continue;
        };
        let alike = tokens.partition_point(|(bytes, _)| bytes[depth] == *byte);
        let (group, rest) = tokens.split_at(alike);
        if let Some(next) = step(state, *byte) {
            follow(group, depth + 1, &next, step, found);
        }
        tokens = rest;
    }
}
