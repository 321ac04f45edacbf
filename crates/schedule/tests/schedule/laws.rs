//! The laws of the algebra as equations between schedules.

use std::collections::BTreeSet;

use crate::strategies::{
    Sourced, block, edit, edited, permutation, relabelling, residual, set, span, stack,
    updates_from,
};
use layerwise_schedule::{Edit, EditFamily, Part, Residual, Schedule, ScheduleError, Stack, Step};
use proptest::prelude::*;

fn apply(text: &str, schedule: &Schedule) -> Result<Schedule, ScheduleError> {
    text.parse::<Edit>().unwrap().apply(schedule)
}

/// Both texts make the same schedule, or both are refused.
fn check_equal(left: &str, right: &str, schedule: &Schedule) -> Result<(), TestCaseError> {
    let (left_result, right_result) = (apply(left, schedule), apply(right, schedule));
    prop_assert_eq!(
        left_result.ok(),
        right_result.ok(),
        "{} = {} on {}",
        left,
        right,
        schedule
    );
    Ok(())
}

/// A schedule and something that `strategy` makes for its number of blocks.
fn on_schedule<T: std::fmt::Debug, S: Strategy<Value = T>>(
    strategy: impl Fn(usize) -> S,
) -> impl Strategy<Value = (Schedule, T)> {
    let both = move |stack: Stack| (edited(stack), strategy(stack.layers));
    stack()
        .prop_flat_map(both)
        .prop_map(|((schedule, _), value)| (schedule, value))
}

fn bracketed(blocks: &BTreeSet<usize>) -> String {
    format!("{:?}", Vec::from_iter(blocks))
}

/// The labels that stand where the plain model has blocks 0, 1, ….
fn labels(relabelling: &str, layers: usize) -> Vec<usize> {
    let plain = Schedule::plain(Stack::new(layers, Residual::Parallel)).unwrap();
    let changed = apply(relabelling, &plain).unwrap();
    let label = |step: &Step| match step {
        Step::Update(parts) => parts[0].block(),
        Step::Branches(_) => panic!("a relabelling makes no branches"),
    };
    changed.steps().iter().map(label).collect()
}

/// Every part of the schedule, from left to right.
fn parts(steps: &[Step]) -> Vec<Part> {
    let parts_of = |step: &Step| match step {
        Step::Update(parts) => parts.clone(),
        Step::Branches(branches) => branches.iter().flat_map(|b| parts(b.steps())).collect(),
    };
    steps.iter().flat_map(parts_of).collect()
}

fn chain(layers: usize) -> impl Strategy<Value = Edit> {
    prop::collection::vec(edit(layers), 0..4).prop_map(|edits| {
        edits
            .iter()
            .fold("id".parse().unwrap(), |e: Edit, s| e.then(s.edit()))
    })
}

fn two<S: Strategy>(strategy: impl Fn(usize) -> S) -> impl Fn(usize) -> (S, S) {
    move |layers| (strategy(layers), strategy(layers))
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn printing_a_resolved_edit_and_parsing_is_the_identity(
        (layers, edit) in (1..7_usize).prop_flat_map(|n| (Just(n), chain(n)))
    ) {
        let resolved = edit.resolve(Stack::new(layers, Residual::Sequential)).unwrap();
        let text = resolved.to_string();
        prop_assert!(!text.contains(char::is_whitespace) && !text.contains('L'), "{}", text);
        prop_assert_eq!(text.parse::<Edit>().unwrap(), resolved.clone());
        prop_assert_eq!(resolved.resolve(Stack::new(layers, Residual::Sequential)).unwrap(), resolved);
        prop_assert_eq!(edit.to_string().parse::<Edit>().unwrap(), edit);
    }

    #[test]
    fn resolving_keeps_the_meaning((schedule, edit) in on_schedule(chain)) {
        let resolved = edit.resolve(schedule.stack()).unwrap();
        prop_assert_eq!(edit.apply(&schedule), resolved.apply(&schedule));
    }

    #[test]
    fn chaining_is_associative_with_neutral_id(
        (schedule, ((a, b), c)) in on_schedule(|n| (two(chain)(n), chain(n)))
    ) {
        let left = a.clone().then(b.clone()).then(c.clone());
        let right = a.clone().then(b.clone().then(c.clone()));
        prop_assert_eq!(&left, &right);
        let one_by_one = a.apply(&schedule).and_then(|s| b.apply(&s)).and_then(|s| c.apply(&s));
        prop_assert_eq!(left.apply(&schedule), one_by_one);
        let id: Edit = "id".parse().unwrap();
        prop_assert_eq!(id.apply(&schedule).unwrap(), schedule);
        prop_assert_eq!(&id.clone().then(a.clone()), &a);
        prop_assert_eq!(&a.clone().then(id), &a);
        prop_assert_eq!(format!("{a} ; {b}").parse::<Edit>().unwrap(), a.then(b));
    }

    #[test]
    fn swap_is_an_involution_and_symmetric((schedule, ((i, _), (j, _))) in on_schedule(two(block))) {
        check_equal(&format!("swap({i},{j});swap({i},{j})"), "id", &schedule)?;
        check_equal(&format!("swap({i},{j})"), &format!("swap({j},{i})"), &schedule)?;
    }

    #[test]
    fn reversing_twice_is_id((schedule, (range, _)) in on_schedule(span)) {
        check_equal(&format!("reverse({range});reverse({range})"), "id", &schedule)?;
    }

    #[test]
    fn relabellings_compose_as_permutations((schedule, (p, q)) in on_schedule(two(relabelling))) {
        let (p, q, layers) = (p.text, q.text, schedule.stack().layers);
        let (p_labels, q_labels) = (labels(&p, layers), labels(&q, layers));
        let composed: Vec<usize> = p_labels.iter().map(|&label| q_labels[label]).collect();
        check_equal(&format!("{p};{q}"), &format!("permute(0..L,{composed:?})"), &schedule)?;
        let mut inverse = vec![0; layers];
        p_labels.iter().enumerate().for_each(|(from, &to)| inverse[to] = from);
        check_equal(&format!("{p};permute(0..L,{inverse:?})"), "id", &schedule)?;
    }

    #[test]
    fn a_relabelling_changes_labels_alone(
        (schedule, (p, ((i, _), (j, _)))) in on_schedule(|n| (relabelling(n), two(block)(n)))
    ) {
        for text in [p.text, format!("replace({i},{j})")] {
            let labels = labels(&text, schedule.stack().layers);
            let changed = apply(&text, &schedule).unwrap();
            let (before, after) = (parts(schedule.steps()), parts(changed.steps()));
            prop_assert_eq!(before.len(), after.len());
            for (old, new) in before.iter().zip(&after) {
                prop_assert_eq!(new.block(), labels[old.block()]);
                prop_assert_eq!(new.sublayer(), old.sublayer());
                prop_assert_eq!(new.scale().to_bits(), old.scale().to_bits());
            }
        }
    }

    #[test]
    fn permute_reverse_and_replace_relabel_as_written(
        (layers, (range, list)) in (1..7_usize).prop_flat_map(|n| (Just(n), permutation(n)))
    ) {
        let start: usize = range.split("..").next().unwrap().parse().unwrap();
        let end = start + list.len();
        let mut expected: Vec<usize> = (0..layers).collect();
        expected[start..end].copy_from_slice(&list);
        prop_assert_eq!(labels(&format!("permute({range},{list:?})"), layers), expected);
        let mirror = |b| if (start..end).contains(&b) { start + end - 1 - b } else { b };
        let mirrored: Vec<usize> = (0..layers).map(mirror).collect();
        prop_assert_eq!(labels(&format!("reverse({range})"), layers), mirrored);
        let replace = |b| if b == start { end - 1 } else { b };
        let replaced: Vec<usize> = (0..layers).map(replace).collect();
        prop_assert_eq!(labels(&format!("replace({start},{})", end - 1), layers), replaced);
    }

    #[test]
    fn drop_is_idempotent_and_drops_commute((schedule, ((s, _), (t, _))) in on_schedule(two(set))) {
        for sublayer in ["", "_attn", "_mlp"] {
            let drop_s = format!("drop{sublayer}({s})");
            check_equal(&format!("{drop_s};{drop_s}"), &drop_s, &schedule)?;
            for other in ["", "_attn", "_mlp"] {
                let drop_t = format!("drop{other}({t})");
                check_equal(&format!("{drop_s};{drop_t}"), &format!("{drop_t};{drop_s}"), &schedule)?;
            }
        }
    }

    #[test]
    fn drop_is_dropping_both_sublayers((schedule, (s, blocks)) in on_schedule(set)) {
        check_equal(&format!("drop({s})"), &format!("drop_attn({s});drop_mlp({s})"), &schedule)?;
        check_equal(&format!("drop({s})"), &format!("drop({})", bracketed(&blocks)), &schedule)?;
    }

    #[test]
    fn keep_drops_the_complement((schedule, (s, kept)) in on_schedule(set)) {
        let all = 0..schedule.stack().layers;
        let dropped: BTreeSet<usize> = all.filter(|block| !kept.contains(block)).collect();
        let drop =
            if dropped.is_empty() { "id".to_owned() } else { format!("drop({})", bracketed(&dropped)) };
        check_equal(&format!("keep({s})"), &drop, &schedule)?;
    }

    #[test]
    fn repeating_once_and_scaling_by_one_are_id((schedule, (s, _)) in on_schedule(set)) {
        check_equal(&format!("repeat({s},1)"), "id", &schedule)?;
        for sublayer in ["", "_attn", "_mlp"] {
            check_equal(&format!("scale{sublayer}({s},1)"), "id", &schedule)?;
        }
        check_equal(&format!("scale({s},0.5)"), &format!("scale_attn({s},0.5);scale_mlp({s},0.5)"), &schedule)?;
    }

    #[test]
    fn looping_one_present_block_is_repeating_it((schedule, ((_, b), n)) in on_schedule(|n| (block(n), 1..4_usize))) {
        let looped = apply(&format!("loop({b}..{b}+1,{n})"), &schedule);
        // `loop` does not count a block with no run, or with several, as present.
        prop_assume!(looped.is_ok());
        prop_assert_eq!(looped, apply(&format!("repeat({b},{n})"), &schedule));
    }

    #[test]
    fn one_block_is_accepted_by_loop_and_parallel_alike((schedule, (_, b)) in on_schedule(block)) {
        let looped = apply(&format!("loop({b}..{b}+1,1)"), &schedule);
        for form in ["", ",sum"] {
            let paralleled = apply(&format!("parallel({b}..{b}+1{form})"), &schedule);
            prop_assert_eq!(paralleled.ok(), looped.clone().ok());
        }
        if let Ok(looped) = looped {
            prop_assert_eq!(looped, schedule);
        }
    }

    #[test]
    fn edits_on_disjoint_sources_commute(
        ((schedule, made_by), (a, b)) in (4..9_usize, residual()).prop_flat_map(|(layers, residual)| {
            (edited(Stack::new(layers, residual)), two(edit)(layers))
        })
    ) {
        prop_assume!(a.sources.is_disjoint(&b.sources));
        // The one limit of the law: unlike runs of one label, which `replace` makes and dropping joins.
        let names = [a.name(), b.name()];
        let joins_and_repeats = names.contains(&"repeat")
            && names.iter().any(|name| name.starts_with("drop") || *name == "keep");
        prop_assume!(!(joins_and_repeats && made_by.iter().any(|edit| edit.name() == "replace")));
        let orders = (a.edit().then(b.edit()).apply(&schedule), b.edit().then(a.edit()).apply(&schedule));
        if let (Ok(ab), Ok(ba)) = orders {
            prop_assert_eq!(ab, ba, "{} and {} on {}", a.text, b.text, schedule);
        }
    }

    #[test]
    fn step_counts_add_up((schedule, (edit, (s, blocks))) in on_schedule(|n| (edit(n), set(n)))) {
        let all = schedule.step_count();
        prop_assert_eq!(updates_from(schedule.steps(), &|_| true), all);
        let chosen = updates_from(schedule.steps(), &|block| blocks.contains(&block));
        prop_assert_eq!(apply(&format!("repeat({s},3)"), &schedule).unwrap().step_count(), all + 2 * chosen);
        match apply(&format!("drop({s})"), &schedule) {
            Ok(dropped) => prop_assert_eq!(dropped.step_count(), all - chosen),
            Err(_) => prop_assert_eq!(chosen, all),
        }
        if let Ok(changed) = edit.edit().apply(&schedule) {
            let sources = updates_from(schedule.steps(), &|block| edit.sources.contains(&block));
            let count = changed.step_count();
            match edit.name() {
                "loop" => {
                    let copies = edit.text.trim_end_matches(')').split(',').nth(1).unwrap();
                    let copies: usize = copies.parse().unwrap();
                    prop_assert_eq!(count, all + (copies - 1) * sources);
                }
                "drop_attn" | "drop_mlp" => prop_assert!((all - sources..=all).contains(&count)),
                "drop" | "keep" => prop_assert_eq!(count, all - sources),
                "repeat" => prop_assert!(count >= all),
                _ => prop_assert_eq!(count, all),
            }
        }
    }

    #[test]
    fn branches_and_steps_are_never_empty((schedule, _) in on_schedule(Just)) {
        fn check(steps: &[Step]) -> bool {
            !steps.is_empty() && steps.iter().all(|step| match step {
                Step::Update(parts) => {
                    !parts.is_empty() && parts.iter().all(|p| p.block() == parts[0].block() && p.scale().is_finite())
                }
                Step::Branches(branches) => {
                    !branches.is_empty() && branches.iter().all(|b| b.weight().is_finite() && check(b.steps()))
                }
            })
        }
        prop_assert!(check(schedule.steps()), "{}", schedule);
    }

    #[test]
    fn a_family_without_variables_is_its_edit((stack, edit) in stack().prop_flat_map(|s| (Just(s), edit(s.layers)))) {
        let plain = Schedule::plain(stack).unwrap();
        let members = edit.text.parse::<EditFamily>().unwrap().expand(stack, 1);
        match (members, edit.edit().apply(&plain)) {
            (Ok(members), Ok(schedule)) => {
                prop_assert_eq!(members.len(), 1);
                prop_assert_eq!(&members[0].schedule, &schedule);
                prop_assert_eq!(&members[0].edit, &edit.edit().resolve(stack).unwrap());
            }
            (members, schedule) => prop_assert_eq!(members.unwrap_err(), schedule.unwrap_err()),
        }
    }
}

/// The limit of the law of disjoint sources that the crate documentation states.
#[test]
fn dropping_between_unlike_runs_does_not_commute_with_repeating() {
    let plain = Schedule::plain(Stack::new(7, Residual::Parallel)).unwrap();
    let base = apply("scale(6,0.5);replace(6,4);keep(4..7)", &plain).unwrap();
    assert_eq!(base.to_string(), "attn4+mlp4 attn5+mlp5 0.5*attn4+0.5*mlp4");
    let joined = apply("drop(5);repeat(4)", &base).unwrap();
    let apart = apply("repeat(4);drop(5)", &base).unwrap();
    assert_ne!(joined, apart);
    assert_eq!(joined, apply("drop(5);loop(4..5)", &base).unwrap());
}

/// The strategies generate every edit that the laws mention.
#[test]
fn random_edits_cover_every_name() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut draw = || edit(4).new_tree(&mut runner).unwrap().current();
    let names: BTreeSet<String> = (0..2_000)
        .map(|_| Sourced::name(&draw()).to_owned())
        .collect();
    let expected = [
        "drop",
        "drop_attn",
        "drop_mlp",
        "keep",
        "loop",
        "parallel",
        "permute",
        "repeat",
        "replace",
        "reverse",
        "scale",
        "scale_attn",
        "scale_mlp",
        "shuffle",
        "swap",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
}
