//! Pairs of prompts, made for a tokenizer: both sides, and all pairs of a set, have the same number of tokens.

use crate::core::error::{ExperimentError, Place};
use layerwise_corpus::Tokenizer;
use layerwise_schedule::shuffle;
use layerwise_sweep::Pair;
use std::collections::BTreeMap;

/// Pairs of a set, if the words allow that many.
const PAIRS: u64 = 8;
/// How many times a pair is drawn if it may not fit the others.
const DRAWS: u64 = 4 * PAIRS;
/// Tokens of the random string that is repeated.
const REPEATED: usize = 8;

const NAMES: &[&str] = &[
    "Tom", "Lily", "Ben", "Anna", "Tim", "Sam", "Mary", "John", "Jack", "Sue", "Max", "Amy", "Mia",
    "Leo", "Jane", "Bob", "Kate", "Paul", "Mark", "Lucy", "Emma", "James", "David", "Sarah",
    "Alice", "Peter",
];
const PLACES: &[&str] = &[
    "park", "store", "school", "house", "garden", "beach", "farm", "zoo",
];
const OBJECTS: &[&str] = &[
    "ball", "book", "drink", "cake", "toy", "flower", "hat", "box",
];
const NOUNS: &[[&str; 2]] = &[
    ["boys", "boy"],
    ["girls", "girl"],
    ["dogs", "dog"],
    ["cats", "cat"],
    ["toys", "toy"],
    ["cars", "car"],
    ["trees", "tree"],
    ["birds", "bird"],
    ["friends", "friend"],
    ["books", "book"],
    ["flowers", "flower"],
    ["keys", "key"],
    ["balls", "ball"],
    ["animals", "animal"],
    ["kids", "kid"],
    ["boats", "boat"],
];

/// A set of pairs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// A description of the pairs.
    pub description: &'static str,
    /// The seed for drawing words.
    pub seed: u64,
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// The first position at which the sides of a pair differ.
    pub first: usize,
    /// The last such position: that of the word that differs, which is the subject.
    pub subject: usize,
}

impl Set {
    /// The number of tokens of each side of each pair.
    pub fn length(&self) -> usize {
        self.pairs.first().map_or(0, |pair| pair.clean.len())
    }

    /// The pairs of the most frequent length; `None` if they are fewer than two.
    fn of(
        name: &'static str,
        description: &'static str,
        seed: u64,
        pairs: Vec<Pair>,
    ) -> Option<Self> {
        let mut by_length: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
        for pair in pairs {
            let own = by_length.entry(pair.clean.len()).or_default();
            if pair.clean.len() == pair.corrupted.len() && !own.contains(&pair) {
                own.push(pair);
            }
        }
        // Of equally frequent lengths, the shortest.
        let most = by_length.values().map(Vec::len).max()?;
        let mut pairs = by_length.into_values().find(|own| own.len() == most)?;
        pairs.truncate(PAIRS as usize);
        let differing = |pair: &Pair| -> Vec<usize> {
            let sides = pair.clean.iter().zip(&pair.corrupted).enumerate();
            sides
                .filter(|(_, (a, b))| a != b)
                .map(|(at, _)| at)
                .collect()
        };
        let places: Vec<usize> = pairs.iter().flat_map(differing).collect();
        Some(Self {
            name,
            description,
            seed,
            first: *places.iter().min()?,
            subject: *places.iter().max()?,
            pairs,
        })
        .filter(|set| set.pairs.len() >= 2)
    }
}

/// All sets for a tokenizer and a model with this context, each with the token before every prompt; and the names of sets that
/// cannot be made from this vocabulary.
///
/// # Errors
/// The tokenizer fails on a text.
pub fn sets(
    tokenizer: &Tokenizer,
    vocab: usize,
    bos: Option<u32>,
) -> Result<(Vec<Set>, Vec<&'static str>), ExperimentError> {
    let words = Words { tokenizer, bos };
    let mut made = Vec::new();
    let mut missing = Vec::new();
    for (name, set) in [
        ("indirect-objects", words.indirect_objects(0)?),
        ("induction", words.induction(1, vocab)),
        ("agreement", words.agreement(2)?),
    ] {
        match set {
            Some(set) => made.push(set),
            None => missing.push(name),
        }
    }
    Ok((made, missing))
}

struct Words<'a> {
    tokenizer: &'a Tokenizer,
    bos: Option<u32>,
}

/// A word that follows a space, with its tokens.
struct Word<'w> {
    text: &'w str,
    tokens: Vec<u32>,
}

/// The `turn`-th order of some values under a seed.
fn order<T: Copy>(values: &[T], seed: u64, turn: u64, part: u64) -> Vec<T> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    shuffle(&mut places, (seed << 32) + (turn << 8) + part);
    places.into_iter().map(|place| values[place]).collect()
}

impl Words<'_> {
    fn encode(&self, text: &str) -> Result<Vec<u32>, ExperimentError> {
        self.tokenizer.encode(text).at(|| format!("{text:?}"))
    }

    fn prompt(&self, text: &str) -> Result<Vec<u32>, ExperimentError> {
        let own = self.encode(text)?;
        Ok(self.bos.into_iter().chain(own).collect())
    }

    /// The tokens that a word adds after another word; some tokenizers put a token of their own before a word that comes first.
    fn word(&self, text: &str) -> Result<Vec<u32>, ExperimentError> {
        const BEFORE: &str = "a";
        let before = self.encode(BEFORE)?.len();
        let both = self.encode(&format!("{BEFORE} {text}"))?;
        Ok(both.into_iter().skip(before).collect())
    }

    /// The words with the most frequent number of tokens.
    fn alike<'w>(&self, words: &[&'w str]) -> Result<Vec<Word<'w>>, ExperimentError> {
        let mut by_count: BTreeMap<usize, Vec<Word<'w>>> = BTreeMap::new();
        for text in words {
            let tokens = self.word(text)?;
            let word = Word { text, tokens };
            by_count.entry(word.tokens.len()).or_default().push(word);
        }
        let most = by_count.values().map(Vec::len).max().unwrap_or(0);
        let found = by_count.into_values().find(|own| own.len() == most);
        Ok(found.unwrap_or_default())
    }

    /// Indirect objects: the one of two people who is not named again receives something.
    fn indirect_objects(&self, seed: u64) -> Result<Option<Set>, ExperimentError> {
        let [names, places, objects] = [NAMES, PLACES, OBJECTS].map(|words| self.alike(words));
        let (names, places, objects) = (names?, places?, objects?);
        let names: Vec<&Word<'_>> = names
            .iter()
            .filter(|word| !word.tokens.is_empty())
            .collect();
        let of = |words: &[Word<'_>]| words.iter().map(|word| word.text.len()).sum::<usize>();
        if of(&places) == 0 || of(&objects) == 0 {
            return Ok(None);
        }
        let mut pairs = Vec::new();
        for turn in 0..DRAWS {
            let drawn = order(&names, seed, turn, 0);
            let Some((one, rest)) = drawn.split_first() else {
                break;
            };
            // Answers are distinguished by their first tokens.
            let other = rest.iter().find(|word| word.tokens[0] != one.tokens[0]);
            let Some(other) = other else { continue };
            let place = pick(&places, seed, turn, 1);
            let object = pick(&objects, seed, turn, 2);
            let prompt = |subject: &str| {
                self.prompt(&format!(
                    "When {} and {} went to the {place}, {subject} gave a {object} to",
                    one.text, other.text
                ))
            };
            let pair = Pair::new(prompt(other.text)?, prompt(one.text)?);
            pairs.push(pair.deciding(Some(one.tokens[0]), Some(other.tokens[0])));
        }
        Ok(Set::of(
            "indirect-objects",
            "When A and B went to the place, B gave a thing to: A follows; in the corrupted prompt A gives, and B follows",
            seed,
            pairs,
        ))
    }

    /// Induction: the token that followed a random string the first time.
    fn induction(&self, seed: u64, vocab: usize) -> Option<Set> {
        let bytes = self.tokenizer.token_bytes(vocab);
        let is_word = |bytes: &[u8]| {
            let letters = bytes.strip_prefix(b" ").unwrap_or(bytes);
            letters.len() >= 3 && letters.iter().all(u8::is_ascii_lowercase)
        };
        let words: Vec<u32> = bytes
            .iter()
            .enumerate()
            .filter(|(_, bytes)| bytes.as_deref().is_some_and(is_word))
            .filter_map(|(id, _)| u32::try_from(id).ok())
            .collect();
        if words.len() <= REPEATED {
            return None;
        }
        let pairs = (0..PAIRS).map(|turn| {
            let drawn = order(&words, seed, turn, 0);
            let (repeated, wrong) = (&drawn[..REPEATED], drawn[REPEATED]);
            let (answer, known) = (repeated[REPEATED - 1], &repeated[..REPEATED - 1]);
            let prompt = |last: u32| -> Vec<u32> {
                let bos = self.bos.iter();
                let own = bos.chain(known).chain([&last]).chain(known);
                own.copied().collect()
            };
            let pair = Pair::new(prompt(answer), prompt(wrong));
            pair.deciding(Some(answer), Some(wrong))
        });
        Set::of(
            "induction",
            "eight random words, and the first seven again: the eighth follows; in the corrupted prompt another stood there",
            seed,
            pairs.collect(),
        )
    }

    /// Agreement: whether a verb is singular or plural.
    fn agreement(&self, seed: u64) -> Result<Option<Set>, ExperimentError> {
        let verbs = [self.word("are")?, self.word("is")?];
        let (Some(&are), Some(&is)) = (verbs[0].first(), verbs[1].first()) else {
            return Ok(None);
        };
        let mut nouns = Vec::new();
        for noun in NOUNS {
            let [many, one] = noun.map(|word| self.word(word));
            if many?.len() == one?.len() {
                nouns.push(*noun);
            }
        }
        let places = self.alike(PLACES)?;
        if are == is || nouns.is_empty() || places.is_empty() {
            return Ok(None);
        }
        let mut pairs = Vec::new();
        for turn in 0..DRAWS {
            let [many, one] = order(&nouns, seed, turn, 0)[0];
            let place = pick(&places, seed, turn, 1);
            let prompt = |noun: &str| self.prompt(&format!("The {noun} near the {place}"));
            let (many, one) = (prompt(many)?, prompt(one)?);
            // Each number is the clean one in half of the pairs.
            pairs.push(match turn % 2 {
                0 => Pair::new(many, one).deciding(Some(are), Some(is)),
                _ => Pair::new(one, many).deciding(Some(is), Some(are)),
            });
        }
        Ok(Set::of(
            "agreement",
            "The nouns near the place: are follows; in the corrupted prompt the noun is one, and is follows; or the other way round",
            seed,
            pairs,
        ))
    }
}

fn pick<'w>(words: &[Word<'w>], seed: u64, turn: u64, part: u64) -> &'w str {
    let texts: Vec<&str> = words.iter().map(|word| word.text).collect();
    order(&texts, seed, turn, part)[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing;

    #[test]
    fn both_sides_of_every_pair_have_as_many_tokens() {
        let tokenizer = testing::tokenizer();
        for bos in [None, Some(0)] {
            let (sets, missing) = sets(&tokenizer, 2048, bos).unwrap();
            assert_eq!(missing, [""; 0]);
            assert_eq!(sets.len(), 3);
            for set in sets {
                let name = set.name;
                assert!(set.pairs.len() > 4, "{name}: {}", set.pairs.len());
                for pair in &set.pairs {
                    assert_eq!(pair.clean.len(), set.length(), "{name}");
                    assert_eq!(pair.corrupted.len(), set.length(), "{name}");
                    let (first, last) = (set.first, set.subject);
                    assert_eq!(pair.clean[..first], pair.corrupted[..first], "{name}");
                    assert_eq!(pair.clean[last + 1..], pair.corrupted[last + 1..], "{name}");
                    assert_ne!(
                        pair.clean[first..=last],
                        pair.corrupted[first..=last],
                        "{name}"
                    );
                    assert_ne!(pair.answer, pair.wrong, "{name}");
                    assert_eq!(bos.is_some(), pair.clean[0] == 0, "{name}");
                }
                assert!(set.subject + 1 < set.length(), "{name}");
            }
        }
    }

    /// Llama 2's tokenizer puts ▁ before every text, so that a word after a space alone would begin with a ▁ of its own.
    #[test]
    fn words_are_told_apart_where_a_tokenizer_adds_a_space() {
        let file = testing::fixtures().join("tokenizers/llama-2/tokenizer.json");
        let tokenizer = Tokenizer::open(&file, 700).unwrap();
        let (sets, _) = sets(&tokenizer, 700, None).unwrap();
        for name in ["indirect-objects", "agreement"] {
            let set = sets.iter().find(|set| set.name == name);
            let set = set.unwrap_or_else(|| panic!("{name} is made"));
            for pair in &set.pairs {
                assert_ne!(pair.answer, pair.wrong, "{name}");
                let text = |id: Option<u32>| tokenizer.decode(&[id.unwrap()]).unwrap();
                for word in [pair.answer, pair.wrong].map(text) {
                    assert!(word.trim() != "", "{name}: {word:?}");
                }
            }
        }
    }

    #[test]
    fn prompts_say_what_their_set_is() {
        let tokenizer = testing::tokenizer();
        let (sets, _) = sets(&tokenizer, 2048, None).unwrap();
        let text = |ids: &[u32]| tokenizer.decode(ids).unwrap();
        let pair = &sets[0].pairs[0];
        let (clean, corrupted) = (text(&pair.clean), text(&pair.corrupted));
        assert!(
            clean.trim_start().starts_with("When ") && clean.ends_with(" to"),
            "{clean}"
        );
        assert_ne!(clean, corrupted);
        let repeated = &sets[1].pairs[0];
        assert_eq!(repeated.clean[..7], repeated.clean[8..]);
        assert_eq!(Some(repeated.clean[7]), repeated.answer);
        assert_eq!(Some(repeated.corrupted[7]), repeated.wrong);
        let answers: Vec<_> = sets[2].pairs.iter().map(|pair| pair.answer).collect();
        assert!(
            answers.iter().any(|answer| *answer != answers[0]),
            "both numbers are clean ones"
        );
    }

    #[test]
    fn pairs_of_other_lengths_are_left_out() {
        let pair = |len: u32, other: u32| {
            Pair::new(
                (0..len).collect(),
                (0..len).map(|at| at + u32::from(at == other)).collect(),
            )
        };
        let pairs = vec![pair(5, 2), pair(4, 1), pair(5, 3), pair(4, 2), pair(4, 1)];
        let set = Set::of("a", "b", 0, pairs).unwrap();
        assert_eq!((set.length(), set.pairs.len()), (4, 2));
        assert_eq!((set.first, set.subject), (1, 2));
        assert!(Set::of("a", "b", 0, vec![pair(5, 2)]).is_none());
        let uneven = Pair::new(vec![1, 2], vec![1]);
        assert!(Set::of("a", "b", 0, vec![uneven.clone(), uneven]).is_none());
    }
}
