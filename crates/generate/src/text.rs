//! Turns tokens into text as they come.

/// Turns tokens into text as they come, only in whole characters, and without stop strings.
///
/// A token may be part of a character, and its text may depend on the token before it (for example, a space is dropped at the
/// beginning of a text). So a few tokens are decoded together, and text is returned once it cannot change. (Some decoders turn
/// whole characters that were spelt in bytes into U+FFFD, one for each byte, once an invalid byte follows; characters that were
/// already returned stay as they are.)
///
/// ```
/// use layerwise_generate::TextStream;
///
/// let words = [" a", " stop", " sign", " END", " more"];
/// let decode = |ids: &[u32]| Ok::<_, ()>(ids.iter().map(|id| words[*id as usize]).collect());
/// let mut stream = TextStream::new(decode, vec![" END".to_owned()]);
/// let text: Vec<String> = (0..5).map(|id| stream.push(id)).collect::<Result<_, _>>()?;
/// assert_eq!(text.concat(), " a stop sign");
/// assert!(stream.is_stopped());
/// # Ok::<(), ()>(())
/// ```
#[derive(Debug)]
pub struct TextStream<D> {
    decode: D,
    stops: Vec<String>,
    tokens: Vec<u32>,
    /// Decoding starts here; tokens from here to `read` only affect the text of those that follow.
    first: usize,
    /// The number of tokens with text that was returned or is held back.
    read: usize,
    /// Held-back text, which may be the beginning of a stop string.
    held: String,
    is_stopped: bool,
}

impl<E, D: FnMut(&[u32]) -> Result<String, E>> TextStream<D> {
    /// `decode` decodes tokens, and puts U+FFFD for bytes that are not a character. `stops` are strings that end the text; empty
    /// ones are ignored.
    pub fn new(decode: D, stops: Vec<String>) -> Self {
        Self {
            decode,
            stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(),
            tokens: Vec::new(),
            first: 0,
            read: 0,
            held: String::new(),
            is_stopped: false,
        }
    }

    /// The same stream for text that follows the tokens of a prompt. The text of the first token may depend on the prompt's last,
    /// because some tokenizers drop the space at the beginning of a text.
    #[must_use]
    pub fn after(self, prompt: &[u32]) -> Self {
        Self {
            tokens: prompt.to_vec(),
            read: prompt.len(),
            ..self
        }
    }

    /// Adds a token and returns the text that is now final. After a stop string there is none.
    ///
    /// # Errors
    /// The errors of the decoder.
    pub fn push(&mut self, token: u32) -> Result<String, E> {
        if self.is_stopped {
            return Ok(String::new());
        }
        self.tokens.push(token);
        let (text, goes_on_whole) = self.unread()?;
        // A real U+FFFD character also waits for the next token.
        if text.is_empty() || text.ends_with('\u{FFFD}') {
            return Ok(String::new());
        }
        self.take(&text, goes_on_whole);
        Ok(self.release(false))
    }

    /// Ends the text and returns what was held back.
    ///
    /// # Errors
    /// The errors of the decoder.
    pub fn finish(&mut self) -> Result<String, E> {
        if self.is_stopped {
            return Ok(String::new());
        }
        let (text, goes_on_whole) = self.unread()?;
        self.take(&text, goes_on_whole);
        let text = self.release(true);
        self.is_stopped = true;
        Ok(text)
    }

    /// Whether a stop string was found or the text was ended.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The text of the unread tokens, and whether the tokens before them end with a whole character.
    fn unread(&mut self) -> Result<(String, bool), E> {
        let before = (self.decode)(&self.tokens[self.first..self.read])?;
        let all = (self.decode)(&self.tokens[self.first..])?;
        // A prompt of token ids may end within a character, which then belongs to the following text.
        let whole = || all.strip_prefix(before.trim_end_matches('\u{FFFD}'));
        let text = all.strip_prefix(&before).or_else(whole);
        let text = text.unwrap_or_else(|| after(&before, &all));
        let is_whole = !before.ends_with('\u{FFFD}');
        Ok((text.to_owned(), is_whole))
    }

    fn take(&mut self, text: &str, goes_on_whole: bool) {
        self.held.push_str(text);
        // The next decoding must not begin within a character.
        if goes_on_whole {
            self.first = self.read;
        }
        self.read = self.tokens.len();
    }

    /// The part of the held-back text that may be returned.
    fn release(&mut self, is_end: bool) -> String {
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop));
        if let Some(at) = found.min() {
            self.held.truncate(at);
            self.is_stopped = true;
            return std::mem::take(&mut self.held);
        }
        let mut from = self.held.len();
        if !is_end {
            let begins_stop = |at: &usize| {
                let rest = &self.held[*at..];
                self.stops.iter().any(|stop| stop.starts_with(rest))
            };
            let mut starts = self.held.char_indices().map(|(at, _)| at);
            from = starts.find(begins_stop).unwrap_or(from);
        }
        let rest = self.held.split_off(from);
        std::mem::replace(&mut self.held, rest)
    }
}

/// The part of `all` after the characters of `before`, each of which is there as itself or as a U+FFFD for each of its bytes.
fn after<'t>(before: &str, all: &'t str) -> &'t str {
    before.chars().fold(all, |rest, told| {
        let invalid = || {
            let bytes = 0..told.len_utf8();
            bytes.fold(rest, |rest, _| {
                rest.strip_prefix('\u{FFFD}').unwrap_or(rest)
            })
        };
        rest.strip_prefix(told).unwrap_or_else(invalid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each token is a byte, the worst case of byte-pair encoding.
    fn bytes(ids: &[u32]) -> Result<String, ()> {
        let bytes: Vec<u8> = ids.iter().map(|id| *id as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn only_whole_characters_come() {
        let mut stream = TextStream::new(bytes, Vec::new());
        let mut pieces = Vec::new();
        for byte in "aé€😀".bytes() {
            pieces.push(stream.push(byte.into()).unwrap());
        }
        assert_eq!(pieces, ["a", "", "é", "", "", "€", "", "", "", "😀"]);
        assert_eq!(stream.push(0xe2).unwrap(), "");
        assert_eq!(stream.finish().unwrap(), "\u{FFFD}");
        assert_eq!(stream.push(65).unwrap(), "");
    }

    #[test]
    fn what_a_token_means_may_depend_on_the_one_before() {
        // As in SentencePiece: a space before the first decoded word is dropped.
        let words = ["▁one", "▁two", "three", "▁four"];
        let decode = |ids: &[u32]| {
            let text: String = ids.iter().map(|id| words[*id as usize]).collect();
            let text = text.replace('▁', " ");
            Ok::<_, ()>(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        };
        let mut stream = TextStream::new(decode, Vec::new());
        let pieces: Vec<String> = (0..4).map(|id| stream.push(id).unwrap()).collect();
        assert_eq!(pieces, ["one", " two", "three", " four"]);
    }

    #[test]
    fn text_goes_on_after_an_invalid_byte() {
        // As with byte fallback: tokens from 256 on are letters, and neighbouring bytes are one text, or nothing but U+FFFD.
        let decode = |ids: &[u32]| {
            let runs = ids.chunk_by(|a, b| (*a < 256) == (*b < 256));
            let texts = runs.map(|run| match run[0] {
                256.. => run.iter().map(|id| char::from((*id - 256) as u8)).collect(),
                _ => String::from_utf8(run.iter().map(|id| *id as u8).collect())
                    .unwrap_or_else(|_| "\u{FFFD}".repeat(run.len())),
            });
            Ok::<_, ()>(texts.collect::<String>())
        };
        let check = |ids: &[u32], expected: &[&str]| {
            let mut stream = TextStream::new(decode, Vec::new());
            let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
            pieces.push(stream.finish().unwrap());
            assert_eq!(pieces, expected, "{ids:?}");
        };
        let letter = |letter: u8| 256 + u32::from(letter);
        let (a, b) = (letter(b'a'), letter(b'b'));
        check(&[0xc3, 0xa9, a], &["", "é", "a", ""]);
        check(
            &[0xc3, 0xa9, 0xff, a, b],
            &["", "é", "", "\u{FFFD}a", "b", ""],
        );
        check(
            &[a, 0xc3, 0xa9, 0xff, b],
            &["a", "", "é", "", "\u{FFFD}b", ""],
        );
        check(&[0xc3, 0xa9, 0xff], &["", "é", "", "\u{FFFD}"]);
        check(
            &[0xff, 0xc3, 0xa9, a],
            &["", "", "", "\u{FFFD}\u{FFFD}\u{FFFD}a", ""],
        );
    }

    proptest! {
        #[test]
        fn pieces_add_up_to_the_text_before_the_first_stop(
            text in "[abé]{0,12}",
            stops in proptest::collection::vec("[abé]{0,3}", 0..3),
        ) {
            let mut stream = TextStream::new(bytes, stops.clone());
            let mut all = String::new();
            for byte in text.bytes() {
                all += &stream.push(byte.into()).unwrap();
                // Returned text never changes.
                prop_assert!(text.starts_with(&all));
            }
            let was_stopped = stream.is_stopped();
            all += &stream.finish().unwrap();
            let whole: Vec<char> = text.chars().collect();
            // The stop string that is complete first ends the text.
            let expected = (0..=whole.len()).find_map(|end| {
                let begun: String = whole[..end].iter().collect();
                let found = stops.iter().filter(|stop| !stop.is_empty());
                found.filter_map(|stop| begun.find(stop.as_str())).min().map(|at| begun[..at].to_owned())
            });
            prop_assert_eq!(was_stopped, expected.is_some());
            prop_assert_eq!(all, expected.unwrap_or(text));
        }
    }
}
