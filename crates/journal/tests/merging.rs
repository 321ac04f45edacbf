//! Merging shards, and refusing those that do not belong together.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_journal::{JournalError, RunDescription, RunKey, Shard, Units, merge};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

const UNITS: usize = 12;

/// The cost of each unit.
const COSTS: [u64; UNITS] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];

type Recorded = layerwise_journal::Recorded<String, Vec<f64>>;

fn result(unit: usize) -> Vec<f64> {
    vec![0.1 * unit as f64]
}

/// A finished shard of a run.
fn shard(name: &str, place: usize, shard: Shard) -> Recorded {
    let key = RunKey::of([name.as_bytes()]);
    let finished = shard.units(&key, &COSTS).into_iter();
    let about = format!("about {name}");
    Recorded {
        path: PathBuf::from(format!("{name}-{}", shard.index())),
        finished: finished.map(|unit| (unit, result(unit))).collect(),
        parts: BTreeMap::new(),
        description: RunDescription::new(key, name.to_owned(), UNITS, about)
            .at_place(place)
            .part(shard, &COSTS),
    }
}

fn shards(name: &str, place: usize, count: u32) -> Vec<Recorded> {
    let one: Shard = format!("1/{count}").parse().unwrap();
    one.all().map(|part| shard(name, place, part)).collect()
}

proptest! {
    #[test]
    fn any_order_of_any_division_is_the_whole_run(
        counts in (1u32..20, 1u32..20),
        order in any::<u64>(),
        doubled: bool,
    ) {
        let mut journals = shards("b", 0, counts.0);
        journals.extend(shards("a", 1, counts.1));
        if doubled {
            journals.push(journals[0].clone());
        }
        let mut numbered: Vec<(u64, Recorded)> = (1..)
            .map(|at: u64| at.wrapping_mul(order | 1) >> 7)
            .zip(journals)
            .collect();
        numbered.sort_by_key(|(at, _)| *at);
        let merged = merge(numbered.into_iter().map(|(_, journal)| journal).collect()).unwrap();
        let names: Vec<&str> = merged.iter().map(|m| m.description.name.as_str()).collect();
        prop_assert_eq!(names, ["b", "a"]);
        for merged in &merged {
            let whole = shard(&merged.description.name, merged.description.place, Shard::WHOLE);
            prop_assert_eq!(&merged.description, &whole.description);
            prop_assert_eq!(&merged.finished, &whole.finished);
        }
    }
}

/// The message about the shards 1/3 to 3/3 of a run, changed in one way.
#[track_caller]
fn check(change: impl FnOnce(&mut Vec<Recorded>), expected: &[&str]) -> JournalError {
    let mut journals = shards("tiny", 0, 3);
    change(&mut journals);
    let error = merge(journals).unwrap_err();
    let said = error.to_string();
    for part in expected {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    error
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let error = check(
        |j| drop(j.remove(1)),
        &["tiny: found no journal of 2/3; missing units "],
    );
    assert!(
        matches!(error, JournalError::MergeMissing { .. }),
        "{error:?}"
    );
    check(|j| j.truncate(1), &["of 2/3, 3/3"]);

    let third: Shard = "3/3".parse().unwrap();
    let own = third.units(&RunKey::of([b"tiny".as_slice()]), &COSTS);
    let error = check(
        |j| j[2].finished.clear(),
        &["tiny-3: shard 3/3 is not finished: missing units "],
    );
    let JournalError::MergeUnfinished { units, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(units, Units::from(own));

    let error = check(
        |j| j[1].description.key = RunKey::of([b"other".as_slice()]),
        &["tiny-1 and tiny-2", "different runs of tiny"],
    );
    assert!(
        matches!(error, JournalError::MergeOtherRun { .. }),
        "{error:?}"
    );
    check(|j| j[2].description.units += 1, &["tiny-1 and tiny-3"]);
    check(|j| j[2].description.place += 1, &["tiny-1 and tiny-3"]);
    check(|j| j[2].description.about.push('!'), &["tiny-1 and tiny-3"]);

    // If shards of two divisions leave units out, the message names the units, but not the shards that lack them.
    let error = check(
        |j| *j = vec![j[0].clone(), shard("tiny", 0, "2/4".parse().unwrap())],
        &["tiny: missing units "],
    );
    assert!(
        matches!(error, JournalError::MergeMissing { .. }),
        "{error:?}"
    );

    let error = check(
        |j| {
            let mut again = j[1].clone();
            again.path = PathBuf::from("again");
            for result in again.finished.values_mut() {
                result[0] = result[0].next_up();
            }
            j.push(again);
        },
        &["tiny-2 and again have different results for unit"],
    );
    assert!(
        matches!(error, JournalError::MergeConflict { .. }),
        "{error:?}"
    );
}

#[test]
fn shards_of_two_divisions_make_up_a_run() {
    let mut journals = shards("tiny", 0, 3);
    journals.remove(1);
    // The missing units were computed in a run with other shards, in addition to units that are already there.
    journals.extend(shards("tiny", 0, 4));
    let merged = merge(journals).unwrap().remove(0);
    assert_eq!(merged.finished, shard("tiny", 0, Shard::WHOLE).finished);
    assert_eq!(merged.parts.len(), 6);
}

#[test]
fn nothing_merged_is_nothing() {
    assert!(merge::<(), ()>(Vec::new()).unwrap().is_empty());
}
