//! Random stacks, edits and schedules.

use std::collections::BTreeSet;

use layerwise_schedule::{Edit, Residual, Schedule, Stack, Step};
use proptest::prelude::*;

/// An edit text without variables, with what its laws depend on.
#[derive(Debug, Clone)]
pub(crate) struct Sourced {
    /// The text of one edit.
    pub(crate) text: String,
    /// The source blocks that the edit addresses.
    pub(crate) sources: BTreeSet<usize>,
}

impl Sourced {
    pub(crate) fn edit(&self) -> Edit {
        self.text.parse().unwrap()
    }

    /// The edit's name, without its arguments.
    pub(crate) fn name(&self) -> &str {
        self.text.split('(').next().unwrap()
    }
}

/// A set of blocks and one of its texts.
pub(crate) fn set(layers: usize) -> impl Strategy<Value = (String, BTreeSet<usize>)> {
    let item = prop_oneof![
        3 => block(layers).prop_map(|(text, block)| (text, block..block + 1)),
        1 => span(layers),
    ];
    prop::collection::vec(item, 1..=2).prop_map(|items| {
        let blocks = items.iter().flat_map(|(_, span)| span.clone()).collect();
        let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
        match texts[..] {
            [text] => (text.to_owned(), blocks),
            _ => (format!("[{}]", texts.join(",")), blocks),
        }
    })
}

/// A block, written from the start or from the end.
pub(crate) fn block(layers: usize) -> impl Strategy<Value = (String, usize)> {
    (0..layers, 0..3).prop_map(move |(block, form)| {
        let text = match form {
            0 => format!("{}", block as i64 - layers as i64),
            1 => format!("L-{}", layers - block),
            _ => block.to_string(),
        };
        (text, block)
    })
}

/// A non-empty range and its text.
pub(crate) fn span(layers: usize) -> impl Strategy<Value = (String, std::ops::Range<usize>)> {
    (0..layers)
        .prop_flat_map(move |start| (Just(start), start + 1..=layers))
        .prop_map(|(start, end)| (format!("{start}..{end}"), start..end))
}

/// A range and a permutation of its blocks.
pub(crate) fn permutation(layers: usize) -> impl Strategy<Value = (String, Vec<usize>)> {
    span(layers).prop_flat_map(|(text, span)| (Just(text), Just(span.collect()).prop_shuffle()))
}

/// A relabelling that permutes the labels.
pub(crate) fn relabelling(layers: usize) -> impl Strategy<Value = Sourced> {
    let on_span = prop_oneof![
        Just("reverse(S)".to_owned()),
        (0..5_u64).prop_map(|seed| format!("shuffle(S,{seed})")),
    ];
    prop_oneof![
        2 => on_range(on_span, layers),
        1 => permutation(layers).prop_map(|(text, labels)| Sourced {
            text: format!("permute({text},{labels:?})"),
            sources: labels.into_iter().collect(),
        }),
        1 => on_pair("swap", layers),
    ]
}

/// Any edit but `id`.
pub(crate) fn edit(layers: usize) -> BoxedStrategy<Sourced> {
    let sublayer = prop::sample::select(vec!["", "_attn", "_mlp"]);
    let factor = prop::sample::select(vec!["0", "-1", "0.5", "1", "2", "1e-3", "0.1"]);
    let on_set = prop_oneof![
        sublayer
            .clone()
            .prop_map(|sublayer| format!("drop{sublayer}(S)")),
        (1..4_usize).prop_map(|count| format!("repeat(S,{count})")),
        (sublayer, factor).prop_map(|(sublayer, factor)| format!("scale{sublayer}(S,{factor})")),
    ];
    let on_span = prop_oneof![
        (1..4_usize).prop_map(|count| format!("loop(S,{count})")),
        Just("parallel(S)".to_owned()),
        Just("parallel(S,sum)".to_owned()),
    ];
    prop_oneof![
        8 => (on_set, set(layers)).prop_map(|(pattern, (text, sources))| Sourced {
            text: pattern.replace('S', &text),
            sources,
        }),
        1 => set(layers).prop_map(move |(text, kept)| Sourced {
            text: format!("keep({text})"),
            sources: (0..layers).filter(|block| !kept.contains(block)).collect(),
        }),
        4 => on_range(on_span, layers),
        4 => relabelling(layers),
        2 => on_pair("replace", layers),
    ]
    .boxed()
}

/// An edit of a range that takes the place of `S` in the pattern.
fn on_range(
    pattern: impl Strategy<Value = String>,
    layers: usize,
) -> impl Strategy<Value = Sourced> {
    (pattern, span(layers)).prop_map(|(pattern, (text, span))| Sourced {
        text: pattern.replace('S', &text),
        sources: span.collect(),
    })
}

/// An edit of two blocks.
fn on_pair(name: &'static str, layers: usize) -> impl Strategy<Value = Sourced> {
    (block(layers), block(layers)).prop_map(move |((i_text, i), (j_text, j))| Sourced {
        text: format!("{name}({i_text}, {j_text})"),
        sources: BTreeSet::from([i, j]),
    })
}

pub(crate) fn residual() -> impl Strategy<Value = Residual> {
    prop::sample::select(vec![Residual::Sequential, Residual::Parallel])
}

pub(crate) fn stack() -> impl Strategy<Value = Stack> {
    (1..7_usize, residual()).prop_map(|(layers, residual)| Stack::new(layers, residual))
}

/// A schedule made by random edits, without those that are refused, and the edits that made it.
pub(crate) fn edited(stack: Stack) -> impl Strategy<Value = (Schedule, Vec<Sourced>)> {
    prop::collection::vec(edit(stack.layers), 0..6).prop_map(move |edits| {
        let mut schedule = Schedule::plain(stack).unwrap();
        let mut accepted = Vec::new();
        for edit in edits {
            if let Ok(next) = edit.edit().apply(&schedule) {
                schedule = next;
                accepted.push(edit);
            }
        }
        (schedule, accepted)
    })
}

/// The number of updates whose source `chosen` admits, inside branches too.
pub(crate) fn updates_from(steps: &[Step], chosen: &dyn Fn(usize) -> bool) -> usize {
    let updates = |step: &Step| match step {
        Step::Update(parts) => usize::from(chosen(parts[0].block())),
        Step::Branches(branches) => branches
            .iter()
            .map(|b| updates_from(b.steps(), chosen))
            .sum(),
    };
    steps.iter().map(updates).sum()
}
