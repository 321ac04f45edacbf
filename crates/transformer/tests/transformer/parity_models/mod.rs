//! Models of every family, and schedules of every kind.

use layerwise_kernels::bf16_features;
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Model, Precision};
use layerwise_weights::Checkpoint;
use std::path::Path;
use std::sync::OnceLock;

/// Every parity fixture, in f32 and, if this machine supports it, in bf16.
pub(crate) fn models() -> &'static [(String, Model)] {
    static MODELS: OnceLock<Vec<(String, Model)>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
        let mut models = Vec::new();
        for entry in std::fs::read_dir(root).unwrap() {
            let folder = entry.unwrap().path();
            if !folder.join("config.json").exists() {
                continue;
            }
            let checkpoint = Checkpoint::open(&folder).unwrap();
            for precision in [Precision::F32, Precision::Bf16] {
                if precision == Precision::Bf16 && bf16_features().is_none() {
                    continue;
                }
                let model = Model::from_checkpoint_in(&checkpoint, precision).unwrap();
                let name = format!("{} in {}", folder.display(), precision.name());
                models.push((name, model));
            }
        }
        models.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert!(models.len() >= 10, "the fixtures are not found");
        models
    })
}

/// The longest sequence of a model; if its rotary frequencies depend on the length, the longest with those of short sequences.
pub(crate) fn room(model: &Model) -> usize {
    let kinds = model.config().attention.kinds().iter();
    let short = kinds.filter_map(|kind| kind.rotary.as_ref()?.changes_beyond());
    short.min().unwrap_or(model.config().context)
}

pub(crate) fn schedule(model: &Model, edit: &str) -> Schedule {
    let plain = Schedule::plain(model.stack()).unwrap();
    edit.parse::<Edit>().unwrap().apply(&plain).unwrap()
}

/// An edit of every kind.
pub(crate) const EDITS: [&str; 8] = [
    "id",
    "drop(0)",
    "swap(0,1)",
    "repeat(1,2)",
    "loop(0..2,2)",
    "parallel(0..2)",
    "drop_attn(1);scale_mlp(0,0.5)",
    "parallel(0..2,sum);repeat(0)",
];
