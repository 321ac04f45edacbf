//! Models with cached packed weights have the bits of those packed from the checkpoint.

use layerwise_transformer::{Model, Packing, Precision, TransformerError};
use layerwise_weights::{Checkpoint, PackCache, StableFiles, WeightsError};
use std::fs;
use std::path::{Path, PathBuf};

/// The checkpoints of every family.
fn checkpoints() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let folders = fs::read_dir(root).unwrap();
    let mut folders: Vec<PathBuf> = folders
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("model.safetensors").exists())
        .collect();
    folders.sort();
    folders
}

fn logits(model: &Model) -> Vec<u32> {
    let tokens: Vec<u32> = (0..7).map(|at| (at * at + 3) % 11).collect();
    let logits = model.logits(&tokens, &model.plain()).unwrap();
    logits.iter().map(|value| value.to_bits()).collect()
}

/// A cache in a folder.
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn cache_in(folder: &Path) -> PackCache {
    // SAFETY: what a test has mapped it drops before it writes to the file.
    PackCache::new(folder, unsafe { StableFiles::promise() })
}

fn open(folder: &Path, precision: Precision, cache: &PackCache) -> (Model, Packing) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    Model::from_checkpoint_or_packs(&checkpoint, precision, cache).unwrap()
}

#[test]
fn every_family_gives_the_same_bits_from_what_was_kept() {
    let cached = tempfile::tempdir().unwrap();
    let cache = cache_in(cached.path());
    let (mut kept, mut files) = (0, 0);
    for precision in [Precision::F32, Precision::Bf16] {
        for folder in checkpoints() {
            let checkpoint = Checkpoint::open(&folder).unwrap();
            let expected = match Model::from_checkpoint_in(&checkpoint, precision) {
                Err(TransformerError::MissingInstructions { .. }) => continue,
                model => logits(&model.unwrap()),
            };
            let name = folder.to_str().unwrap();
            let (model, packing) = open(&folder, precision, &cache);
            assert!(logits(&model) == expected, "{name}");
            if let Packing::Doubtful = packing {
                continue;
            }
            assert!(
                matches!(packing, Packing::Made { damage: None, .. }),
                "{name}: {packing:?}"
            );
            files += 1;
            let (model, packing) = open(&folder, precision, &cache);
            assert!(matches!(packing, Packing::Found), "{name}: {packing:?}");
            assert!(logits(&model) == expected, "{name}");
            // Changes in memory act on a copy.
            let folded = model.fold_norms();
            drop(folded);
            kept += 1;
        }
    }
    assert!(kept > 20, "{kept}");
    assert_eq!(fs::read_dir(cached.path()).unwrap().count(), files);
}

#[test]
fn what_is_damaged_or_of_another_model_is_packed_again_and_told() {
    let folder = &checkpoints()[0];
    let cached = tempfile::tempdir().unwrap();
    let cache = cache_in(cached.path());
    let (model, packing) = open(folder, Precision::F32, &cache);
    let Packing::Made { path, .. } = packing else {
        panic!("{packing:?}");
    };
    let expected = logits(&model);
    let whole = fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() - 5] ^= 4;
    let checked = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let (model, packing) = open(folder, Precision::F32, &cache);
        assert!(logits(&model) == expected && fs::read(&path).unwrap() == whole);
        match packing {
            Packing::Made { damage, .. } => damage.unwrap(),
            packing => panic!("{packing:?}"),
        }
    };
    let damage = checked(&changed);
    assert!(matches!(damage, WeightsError::PackSum { .. }), "{damage}");
    let damage = checked(&whole[..whole.len() / 2]);
    assert!(
        matches!(
            damage,
            WeightsError::PackHead { .. } | WeightsError::PackLength { .. }
        ),
        "{damage}"
    );
    let damage = checked(b"something else");
    assert!(matches!(damage, WeightsError::PackHead { .. }), "{damage}");
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (model, packing) = open(&checkpoints()[0], Precision::F32, &cache_in(file.path()));
    assert!(matches!(packing, Packing::Unkept { .. }), "{packing:?}");
    assert!(!logits(&model).is_empty());
}
