//! Laws of word lattices and their decoding.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_transcripts::{
    Corrected, CountRule, Decoder, DistinctList, Gate, Grid, KneserNey, LanguageModel,
    LanguageScore, Lattice, Method, Mode, Normaliser, ScoreScale, Utterance, Vocabulary, WordId,
    distance, read_columns, violations,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every path of a lattice.
fn paths(lattice: &Lattice) -> BTreeSet<Vec<WordId>> {
    let mut paths = vec![Vec::new()];
    for slot in lattice.slots() {
        let extended = paths.iter().flat_map(|path: &Vec<WordId>| {
            slot.arcs.iter().map(|arc| {
                let mut path = path.clone();
                path.extend(arc.word);
                path
            })
        });
        paths = extended.collect();
    }
    paths.into_iter().collect()
}

fn utterance(hypotheses: &[Vec<String>]) -> Utterance {
    let lines: Vec<String> = hypotheses
        .iter()
        .map(|words| format!("x {}\n", words.join(" ")))
        .collect();
    let lists = read_columns(lines.concat().as_bytes(), &Default::default());
    lists.unwrap().utterances.remove(0)
}

fn texts() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[a-d]", 0..5), 1..5)
}

struct Case {
    vocabulary: Vocabulary,
    list: DistinctList,
    lattice: Lattice,
    reference: Vec<WordId>,
    model: KneserNey,
}

fn case(hypotheses: &[Vec<String>], reference: &[String]) -> Case {
    let mut vocabulary = Vocabulary::new();
    let list = utterance(hypotheses).distinct(&Normaliser::None, &mut vocabulary);
    let gate = Gate::new(ScoreScale::Absent);
    let judgement = gate.judge(&list, &gate.scores(&list, ScoreScale::Absent, &[]));
    Case {
        lattice: Lattice::rover(&list.hypotheses, &judgement.posteriors).unwrap(),
        reference: vocabulary.add_all(reference),
        model: KneserNey::train([["a", "b", "c"], ["b", "a", "d"]]).unwrap(),
        vocabulary,
        list,
    }
}

proptest! {
    #[test]
    fn every_hypothesis_is_a_path(hypotheses in texts()) {
        let case = case(&hypotheses, &[]);
        let paths = paths(&case.lattice);
        for hypothesis in &case.list.hypotheses {
            prop_assert!(paths.contains(hypothesis));
        }
        let kept = case.lattice.under(CountRule::Keep);
        prop_assert!(self::paths(&kept).contains(&case.list.hypotheses[0]));
        for slot in case.lattice.slots() {
            let total: f64 = slot.arcs.iter().map(|arc| arc.weight).sum();
            prop_assert!((total - 1.0).abs() < 1e-9, "{}", total);
        }
    }

    #[test]
    fn the_automaton_allows_the_paths_and_nothing_else(
        hypotheses in texts(),
        words in prop::collection::vec("[a-d]", 0..6),
    ) {
        let case = case(&hypotheses, &words);
        for rule in [CountRule::Free, CountRule::Keep] {
            let lattice = case.lattice.under(rule);
            let paths = paths(&lattice);
            let automaton = lattice.automaton();
            prop_assert_eq!(automaton.allows(&case.reference), paths.contains(&case.reference));
            for path in &paths {
                let mut state = automaton.start();
                for word in path {
                    prop_assert!(automaton.following(&state).contains(word));
                    state = automaton.step(&state, *word).unwrap();
                }
                prop_assert!(automaton.accepts(&state));
            }
        }
    }

    #[test]
    fn oracles_are_in_order(
        hypotheses in texts(),
        reference in prop::collection::vec("[a-d]", 0..6),
    ) {
        let mut case = case(&hypotheses, &reference);
        case.list.reference = Some(case.reference.clone());
        let (path, oracle) = case.lattice.nearest(&case.reference);
        let paths = paths(&case.lattice);
        let by_force = paths.iter().map(|path| distance(&case.reference, path)).min();
        prop_assert_eq!(Some(oracle), by_force);
        prop_assert_eq!(distance(&case.reference, &path), oracle);
        prop_assert!(paths.contains(&path));
        let list = case.list.oracle_errors().unwrap();
        prop_assert!(oracle <= list);
        for hypothesis in &case.list.hypotheses {
            prop_assert!(list <= distance(&case.reference, hypothesis));
        }
        let kept = case.lattice.under(CountRule::Keep).nearest(&case.reference).1;
        prop_assert!(oracle <= kept);
    }

    #[test]
    fn beams_that_go_together_are_those_that_go_alone(hypotheses in texts()) {
        let mut case = case(&hypotheses, &[]);
        let mut decoder = Decoder::default();
        (decoder.width, decoder.exact_paths) = (2, 0);
        let scores = vec![LanguageScore::default(); case.list.hypotheses.len()];
        let mut corrected = |grid: Grid| {
            let gate = Gate::new(ScoreScale::Absent);
            let method = Method::new(Mode::Lattice, CountRule::Free, gate, decoder, grid);
            let lists = [(&case.list, scores.as_slice())];
            let scale = ScoreScale::Absent;
            let found = Corrected::all(&method, &lists, scale, &case.vocabulary, &mut case.model);
            found.unwrap().remove(0)
        };
        let grid = Grid::of(Mode::Lattice, ScoreScale::Absent);
        let together = corrected(grid.clone());
        prop_assert!(!together.is_exact());
        for (at, point) in grid.points().into_iter().enumerate() {
            let alone = corrected(Grid::fixed(point.kappa, point.alpha, point.beta));
            prop_assert_eq!(together.words(at), alone.words(0), "{:?}", point);
        }
    }

    #[test]
    fn what_is_decoded_keeps_the_rules(
        hypotheses in texts(),
        alpha in 0.0_f64..2.0,
        beta in 0.0_f64..3.0,
        width in 1_usize..4,
        exact_paths in prop::sample::select(vec![0_u128, 1 << 40]),
    ) {
        let mut case = case(&hypotheses, &[]);
        let mut decoder = Decoder::default();
        (decoder.alpha, decoder.beta) = (alpha, beta);
        (decoder.width, decoder.exact_paths) = (width, exact_paths);
        for rule in [CountRule::Free, CountRule::Keep] {
            let lattice = case.lattice.under(rule);
            let candidates = decoder.candidates(&lattice, &case.vocabulary, &mut case.model).unwrap();
            let paths = paths(&lattice);
            if decoder.is_exact(&lattice) {
                let found: BTreeSet<_> = candidates.iter().map(|found| found.words.clone()).collect();
                prop_assert_eq!(&found, &paths);
                prop_assert_eq!(found.len(), candidates.len());
            } else {
                prop_assert!(candidates.len() <= width);
            }
            for candidate in &candidates {
                prop_assert!(paths.contains(&candidate.words));
                let words: Vec<&str> = candidate.words.iter().map(|&word| case.vocabulary.word(word)).collect();
                let alone = case.model.sentences(&[words]).unwrap()[0];
                prop_assert!((alone.log_probability - candidate.language.log_probability).abs() < 1e-9);
            }
            let best = &decoder.best(&candidates).unwrap().words;
            prop_assert!(lattice.automaton().allows(best));
            let found = violations(&case.list, rule, &case.vocabulary.text(best), best);
            prop_assert!(!found.words && !found.count);
        }
    }
}

#[test]
fn rover_by_hand() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let case = case(&[words("a b c"), words("a d b c"), words("b d")], &[]);
    let slots: Vec<String> = case
        .lattice
        .slots()
        .iter()
        .map(|slot| {
            let arcs = slot.arcs.iter().map(|arc| match arc.word {
                Some(word) => case.vocabulary.word(word),
                None => "-",
            });
            let inserted = if slot.inserted { "+" } else { "" };
            inserted.to_owned() + &arcs.collect::<Vec<_>>().concat()
        })
        .collect();
    // `b d` costs a deletion of a, nothing at the slot of d, which holds NULL, and a substitution of c.
    assert_eq!(slots, ["a-", "+-d", "b", "cd"]);
    assert_eq!(case.lattice.path_count(), 8);
    assert_eq!(case.vocabulary.text(&case.lattice.heaviest()), "a b c");
}

#[test]
fn lattices_without_end_are_refused() {
    let mut vocabulary = Vocabulary::new();
    let mut words = |count: usize, prefix: &str| -> Vec<WordId> {
        let words: Vec<String> = (0..count).map(|at| format!("{prefix}{at}")).collect();
        vocabulary.add_all(words)
    };
    let hypotheses: Vec<Vec<WordId>> = (0..40)
        .map(|at| match at % 2 {
            0 => words(512, &format!("w{at}-")),
            _ => Vec::new(),
        })
        .collect();
    let result = Lattice::rover(&hypotheses, &[1.0; 40]);
    assert!(result.unwrap_err().to_string().contains("4096 slots"));
}
