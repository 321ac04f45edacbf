//! Classifiers of early exit.

use super::{folder, message};
use layerwise::exits::{Classifier, Reading};
use std::fs;

/// A classifier of early exit: an accepted one is written back identically, and gives a number for every reading.
pub fn classifier(bytes: &[u8]) {
    let folder = folder(&[("exit.json", bytes)]);
    let path = folder.path().join("exit.json");
    let read = match Classifier::read(&path) {
        Err(error) => return drop(message(error)),
        Ok(read) => read,
    };
    let logits = layerwise::ndarray::aview1(&[0.0_f32, 1.0, 3.0]);
    let reading = Reading::of(logits, &[0, 2], &[1, 2], 0.5).unwrap();
    let scores = read.trained.scores(&[reading; 3], read.vocab);
    assert_eq!(scores.len(), 3);
    assert!(scores.iter().all(|score| !score.is_nan()), "{scores:?}");
    fs::write(&path, read.text().unwrap()).unwrap();
    assert_eq!(Classifier::read(&path).unwrap(), read);
}

pub(crate) fn classifier_seeds() -> Vec<Vec<u8>> {
    let hash = "0a".repeat(32);
    [
        r#"{"svm": {"weights": [1.5, -0.25], "intercept": 0.125}}"#,
        r#"{"svm-rbf": {"gamma": 0.5, "rows": [[0.5, 1.0, -1.0], [-2.0, 0.0, 1.0]], "intercept": 0.0}}"#,
        r#"{"crf": {"parameters": [1, 2, 3, -1, -2, -3, 0.5, -0.5, 0.25, 0]}}"#,
    ]
    .map(|decision| {
        let text = format!(
            r#"{{"format": "layerwise-early-exit-1", "features": ["gap", "top"], "means": [0.25, 0.5], "deviations": [0.125, 2.0], "decision": {decision}, "threshold": 0.5, "vocab": "top:2@2", "blocks": 3, "model": "{hash}", "tokenizer": "", "tasks": ["a"], "instances": 20}}"#
        );
        text.into_bytes()
    })
    .to_vec()
}
