//! The published numbers of the six HyPoradise sets, if the data are next to the repository.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_metrics::threshold::auc;
use layerwise_transcripts::{
    CountRule, Decoder, DistinctList, ErrorCounts, Gate, KneserNey, LanguageModel, LanguageScore,
    Lattice, Limits, Normaliser, ScoreScale, Vocabulary, WordId, distance, read_hyporadise,
};
use std::fs;
use std::path::Path;

/// A set by its file's name; if there are no data, prints that and returns `None`.
fn set(
    name: &str,
    normaliser: &Normaliser,
    vocabulary: &mut Vocabulary,
) -> Option<Vec<DistinctList>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/asr")
        .join(format!("{name}.json"));
    let Ok(bytes) = fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let lists = read_hyporadise(bytes.as_slice(), &Limits::default()).unwrap();
    let utterances = lists.utterances.iter();
    Some(
        utterances
            .map(|utterance| utterance.distinct(normaliser, vocabulary))
            .collect(),
    )
}

fn percent(errors: usize, words: usize) -> f64 {
    100.0 * errors as f64 / words as f64
}

/// Utterances, words, WER, list oracle; for normalised lists also the lattice oracles, free and with the same number of words.
type Row = (&'static str, usize, [(usize, f64, f64); 2], [f64; 2]);

const ROWS: [Row; 6] = [
    (
        "test_wsj_score",
        836,
        [(14_157, 6.03, 4.56), (14_069, 4.25, 2.98)],
        [2.89, 3.47],
    ),
    (
        "test_atis",
        809,
        [(9_111, 8.40, 5.31), (8_921, 5.80, 2.99)],
        [2.82, 4.07],
    ),
    (
        "test_chime4",
        1_320,
        [(21_710, 12.69, 9.94), (21_546, 9.31, 6.95)],
        [6.73, 7.98],
    ),
    (
        "test_td3",
        1_155,
        [(28_414, 4.44, 3.16), (28_407, 4.10, 2.93)],
        [2.84, 3.78],
    ),
    (
        "test_ls_clean",
        2_620,
        [(52_576, 1.79, 0.89), (52_567, 1.79, 0.89)],
        [0.85, 1.04],
    ),
    (
        "test_ls_other",
        2_939,
        [(52_343, 3.67, 2.27), (52_334, 3.67, 2.27)],
        [2.18, 2.52],
    ),
];

#[test]
fn error_rates_and_oracles_are_those_of_the_sets() {
    for (name, utterances, published, lattices) in ROWS {
        for (normaliser, (words, wer, list)) in
            [Normaliser::None, Normaliser::Norm].iter().zip(published)
        {
            let mut vocabulary = Vocabulary::new();
            let Some(set) = set(name, normaliser, &mut vocabulary) else {
                return;
            };
            assert_eq!(set.len(), utterances, "{name}");
            let counts: ErrorCounts = set
                .iter()
                .map(|list| list.errors(&list.hypotheses[0]).unwrap())
                .sum();
            let found = counts.reference_words as usize;
            assert_eq!(found, words, "{name} {}", normaliser.name());
            let oracle: usize = set.iter().map(|list| list.oracle_errors().unwrap()).sum();
            let close = |errors: usize, expected: f64, within: f64, what: &str| {
                let found = percent(errors, words);
                let what = format!("{name} {} {what}: {found} {expected}", normaliser.name());
                assert!((found - expected).abs() <= within, "{what}");
            };
            // To the last published digit.
            close(counts.errors() as usize, wer, 0.005 + 1e-9, "WER");
            close(oracle, list, 0.005 + 1e-9, "list oracle");
            if *normaliser == Normaliser::Norm {
                let lattices = [CountRule::Free, CountRule::Keep].into_iter().zip(lattices);
                for (rule, expected) in lattices {
                    let errors = |list: &DistinctList| {
                        let weights = vec![1.0; list.hypotheses.len()];
                        let lattice = Lattice::rover(&list.hypotheses, &weights)
                            .unwrap()
                            .under(rule);
                        lattice.nearest(list.reference.as_ref().unwrap()).1
                    };
                    close(set.iter().map(errors).sum(), expected, 0.05, rule.name());
                }
            }
        }
    }
}

/// The error rate of one system on a set, in per cent.
fn wer(set: &[DistinctList], correct: impl FnMut(&DistinctList) -> Vec<WordId>) -> f64 {
    let words: usize = set
        .iter()
        .map(|list| list.reference.as_ref().unwrap().len())
        .sum();
    let outputs: Vec<Vec<WordId>> = set.iter().map(correct).collect();
    let errors = set.iter().zip(&outputs);
    let errors = errors.map(|(list, output)| distance(list.reference.as_ref().unwrap(), output));
    percent(errors.sum(), words)
}

fn language(
    list: &DistinctList,
    vocabulary: &Vocabulary,
    model: &mut KneserNey,
) -> Vec<LanguageScore> {
    model.sentences(&list.sentences(vocabulary)).unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64, within: f64) {
    println!("{found:.3}, published {expected}");
    assert!((found - expected).abs() <= within, "{found} {expected}");
}

#[test]
fn a_trigram_model_corrects_atis_as_published() {
    let mut vocabulary = Vocabulary::new();
    let Some(train) = set("train_atis", &Normaliser::Norm, &mut vocabulary) else {
        return;
    };
    let test = set("test_atis", &Normaliser::Norm, &mut vocabulary).unwrap();
    let sentences = train[..3000].iter().map(|list| {
        let words = list.reference.as_ref().unwrap();
        words.iter().map(|&word| vocabulary.word(word))
    });
    let mut model = KneserNey::train(sentences).unwrap();
    let gate = Gate::new(ScoreScale::Mean);

    let select = |set: &[DistinctList], alpha: f64, recogniser: f64, model: &mut KneserNey| {
        let mut gate = gate;
        gate.alpha = alpha;
        wer(set, |list| {
            let mut list = list.clone();
            for score in list.scores.as_mut().unwrap() {
                *score *= recogniser;
            }
            let scores = gate.scores(
                &list,
                ScoreScale::Mean,
                &language(&list, &vocabulary, model),
            );
            let best = (0..scores.len())
                .rev()
                .max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            list.hypotheses[best.unwrap()].clone()
        })
    };
    let tuned = (0..=20)
        .map(|step| f64::from(step) * 0.05)
        .map(|alpha| (select(&train[3000..], alpha, 1.0, &mut model), alpha))
        .fold((f64::INFINITY, 0.0), |best, found| {
            if found.0 < best.0 { found } else { best }
        });
    close(wer(&test, |list| list.hypotheses[0].clone()), 5.80, 0.005);
    close(tuned.1, 0.38, 0.05);
    close(select(&test, tuned.1, 1.0, &mut model), 3.88, 0.1);
    close(select(&test, 1.0, 0.0, &mut model), 4.20, 0.1);

    let decoder = Decoder::default();
    let mut decoded = |list: &DistinctList, rule: CountRule| {
        let judgement = gate.judge(list, &gate.scores(list, ScoreScale::Mean, &[]));
        let lattice = Lattice::rover(&list.hypotheses, &judgement.posteriors)
            .unwrap()
            .under(rule);
        let candidates = decoder
            .candidates(&lattice, &vocabulary, &mut model)
            .unwrap();
        let best = decoder.best(&candidates).unwrap().words.clone();
        assert!(lattice.automaton().allows(&best));
        (best, judgement.is_sent)
    };
    close(
        wer(&test, |list| decoded(list, CountRule::Free).0),
        3.84,
        0.1,
    );
    close(
        wer(&test, |list| decoded(list, CountRule::Keep).0),
        4.48,
        0.1,
    );
    let mut sent = 0;
    let gated = wer(&test, |list| match decoded(list, CountRule::Free) {
        (best, true) => {
            sent += 1;
            best
        }
        _ => list.hypotheses[0].clone(),
    });
    close(gated, 3.86, 0.1);
    close(percent(sent, test.len()), 45.0, 1.0);
}

#[test]
fn the_recognisers_scores_tell_its_errors_as_published() {
    for (name, area, [wer_sent, wer_kept]) in [
        ("test_atis", Some(0.80), [9.1, 1.9]),
        ("test_wsj_score", None, [6.2, 1.9]),
    ] {
        let mut vocabulary = Vocabulary::new();
        let Some(set) = set(name, &Normaliser::Norm, &mut vocabulary) else {
            return;
        };
        let gate = Gate::new(ScoreScale::Mean);
        let mut judged: Vec<(f64, ErrorCounts)> = set
            .iter()
            .map(|list| {
                let judgement = gate.judge(list, &gate.scores(list, ScoreScale::Mean, &[]));
                (
                    judgement.confidence,
                    list.errors(&list.hypotheses[0]).unwrap(),
                )
            })
            .collect();
        let cases: Vec<(f64, bool)> = judged
            .iter()
            .map(|(confidence, errors)| (-confidence, errors.errors() > 0))
            .collect();
        let found = auc(&cases).unwrap().unwrap();
        if let Some(area) = area {
            close(found, area, 0.005);
        }
        assert!(found >= 0.70, "{name} {found}");
        judged.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rate = |part: &[(f64, ErrorCounts)]| {
            let counts: ErrorCounts = part.iter().map(|(_, errors)| *errors).sum();
            100.0 * counts.rate().unwrap()
        };
        let (sent, kept) = judged.split_at(judged.len() / 2);
        close(rate(sent), wer_sent, 0.1);
        close(rate(kept), wer_kept, 0.1);
    }
}
