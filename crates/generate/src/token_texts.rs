//! What text each token stands for.

/// Longer tokens are taken for no text.
const LONGEST: usize = 1024;

/// The bytes that each token of a vocabulary adds to a text, in an order in which those with one beginning are neighbours.
///
/// A token may be a part of a character, as those of a byte-level encoding are.
#[derive(Clone, Debug)]
pub struct TokenTexts {
    /// In the order of their bytes; none is empty.
    sorted: Vec<(Vec<u8>, u32)>,
    /// Tokens of the vocabulary, with those that are no text.
    vocab: usize,
}

impl TokenTexts {
    /// From the bytes of each token in the order of ids. Those without bytes are no text, as a special token.
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

    /// Tokens of the vocabulary.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Calls `found` with every token whose bytes an automaton takes from a state.
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

/// `tokens` have the first `depth` bytes in common, with which the automaton came to `state`.
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
