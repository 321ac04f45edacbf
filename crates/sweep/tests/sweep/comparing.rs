//! Two models on one text, compared with whole logits, position by position.

use layerwise_metrics::{ClusteredMean, divergence};
use layerwise_sweep::compare;
use layerwise_transformer::{Model, ModelConfig};

#[test]
fn a_model_is_compared_with_itself_and_with_another() {
    let config = ModelConfig::tiny().with(|it| it.context = 128);
    let [one, other] = [3, 4].map(|seed| Model::random(config.clone(), seed));
    // More positions than are in memory at once.
    let sequences = [70, 5].map(|length| (0..length).map(|at| at * 7 % 50).collect::<Vec<u32>>());
    let same = compare(&one, &one, &sequences).unwrap();
    assert!(same.kl_nats.mean().unwrap().abs() < 1e-9);
    assert_eq!(same.top1_agreement.mean(), Some(1.0));

    let found = compare(&one, &other, &sequences).unwrap();
    let mut expected = ClusteredMean::default();
    for tokens in &sequences {
        let p = one.logits(tokens, &one.plain()).unwrap();
        let q = other.logits(tokens, &other.plain()).unwrap();
        let kl = |at: usize| divergence::kl_nats(p.row(at), q.row(at)).unwrap();
        expected.push((1..tokens.len()).map(kl).sum(), tokens.len() as u64 - 1);
    }
    assert_eq!(found.kl_nats.count(), 73);
    assert!(found.top1_agreement.mean() < Some(1.0));
    let near = |found: Option<f64>, expected: Option<f64>| {
        let (found, expected) = (found.unwrap(), expected.unwrap());
        assert!(
            (found - expected).abs() < 1e-6 * expected,
            "{found} {expected}"
        );
    };
    near(found.kl_nats.mean(), expected.mean());
    near(found.kl_nats.standard_error(), expected.standard_error());
}

#[test]
fn vocabularies_must_be_of_one_size() {
    let of = |vocab| Model::random(ModelConfig::tiny().with(|it| it.vocab = vocab), 1);
    let error = compare(&of(50), &of(51), &[vec![0, 1]]).unwrap_err();
    assert!(error.to_string().contains("50 and 51 tokens"), "{error}");
}
