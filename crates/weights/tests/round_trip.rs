//! Valid checkpoints are read back exactly, and no bytes make the reader panic.

#![allow(
    clippy::unwrap_used,
    reason = "a test reports by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use layerwise_weights::{Checkpoint, Dtype, OpenOptions, StableFiles, Tensor};
use proptest::prelude::*;
use proptest::sample::Index;
use safetensors::tensor::TensorView;

/// A tensor as it is written: its type, shape, and values as little-endian bytes.
#[derive(Debug, Clone)]
struct Written {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Written {
    /// The values that the bytes encode, converted one at a time by `half`.
    fn values(&self) -> Vec<f32> {
        let half = |pair: &[u8]| u16::from_le_bytes(pair.try_into().unwrap());
        match self.dtype {
            Dtype::F32 => self
                .bytes
                .chunks(4)
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect(),
            Dtype::F16 => self
                .bytes
                .chunks(2)
                .map(|pair| f16::from_bits(half(pair)).to_f32())
                .collect(),
            Dtype::BF16 => self
                .bytes
                .chunks(2)
                .map(|pair| bf16::from_bits(half(pair)).to_f32())
                .collect(),
            other => unreachable!("the tests write no {other}"),
        }
    }
}

/// Writes a checkpoint with the safetensors crate, as one file or, with `shards` above 1, as several with an index.
fn write(folder: &Path, tensors: &BTreeMap<String, Written>, shards: usize) {
    fs::write(folder.join("config.json"), "{}").unwrap();
    let mut files: BTreeMap<String, Vec<(&str, TensorView<'_>)>> = BTreeMap::new();
    let mut weight_map = serde_json::Map::new();
    for (position, (name, tensor)) in tensors.iter().enumerate() {
        let file = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{}.safetensors", position % shards),
        };
        weight_map.insert(name.clone(), file.clone().into());
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).unwrap();
        files.entry(file).or_default().push((name, view));
    }
    for (file, views) in files {
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize_to_file(views, Some(metadata), &folder.join(file)).unwrap();
    }
    if shards > 1 {
        let total_size: usize = tensors.values().map(|tensor| tensor.bytes.len()).sum();
        let index =
            serde_json::json!({"metadata": {"total_size": total_size}, "weight_map": weight_map});
        fs::write(
            folder.join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
    }
}

/// Compares bit by bit, so that minus zero differs from zero.
fn assert_same(tensor: &Tensor, written: &Written) {
    assert_eq!(tensor.shape(), written.shape);
    let bits = |values: &[f32]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert!(
        bits(tensor.as_slice()) == bits(&written.values()),
        "{tensor:?} differs from what was written"
    );
    assert_eq!(tensor.view().shape(), written.shape);
}

/// Whether files are mapped.
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn stable(mmap: bool) -> Option<StableFiles> {
    // SAFETY: each test writes its files before it opens them, in a folder of its own.
    mmap.then(|| unsafe { StableFiles::promise() })
}

fn check_round_trip(tensors: &BTreeMap<String, Written>) {
    for shards in [1, 3] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), tensors, shards);
        for mmap in [true, false] {
            let checkpoint = OpenOptions::new()
                .map(stable(mmap))
                .open(folder.path())
                .unwrap();
            assert!(checkpoint.names().eq(tensors.keys()));
            for (name, written) in tensors {
                let tensor = checkpoint.tensor(name).unwrap();
                assert_same(&tensor, written);
                assert_eq!(checkpoint.info(name).unwrap().dtype, written.dtype);
                if !mmap || written.dtype != Dtype::F32 {
                    assert!(!tensor.is_mapped());
                }
            }
        }
    }
}

#[test]
fn every_finite_f16_and_bf16_widens_exactly() {
    let all = |dtype, is_finite: fn(u16) -> bool| {
        let bits: Vec<u16> = (0..=u16::MAX).filter(|bits| is_finite(*bits)).collect();
        let bytes = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        Written {
            dtype,
            shape: vec![bits.len()],
            bytes,
        }
    };
    let tensors: BTreeMap<_, _> = [
        (
            "f16".to_owned(),
            all(Dtype::F16, |bits| f16::from_bits(bits).is_finite()),
        ),
        (
            "bf16".to_owned(),
            all(Dtype::BF16, |bits| bf16::from_bits(bits).is_finite()),
        ),
    ]
    .into();
    assert_eq!(tensors["f16"].shape, [65_536 - 2 * 1024]);
    assert_eq!(tensors["bf16"].shape, [65_536 - 2 * 128]);
    check_round_trip(&tensors);
    // Independently of any conversion, an F16 number is its significand times a power of two.
    for (bits, value) in [
        (0x0001, 2.0_f32.powi(-24)),
        (0x3c00, 1.0),
        (0x7bff, 65504.0),
        (0x83ff, -1023.0 * 2.0_f32.powi(-24)),
    ] {
        assert_eq!(f16::from_bits(bits).to_f32(), value);
    }
}

#[test]
fn a_tensor_outlives_its_checkpoint_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = [1.5_f32, -2.5]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let written = Written {
        dtype: Dtype::F32,
        shape: vec![2],
        bytes,
    };
    write(folder.path(), &[("w".to_owned(), written)].into(), 1);
    let options = OpenOptions::new().map(stable(true));
    let tensor = options.open(folder.path()).unwrap().tensor("w").unwrap();
    assert_eq!(tensor.is_mapped(), cfg!(target_endian = "little"));
    drop(folder);
    let clone = tensor.clone();
    drop(tensor);
    assert_eq!(clone.as_slice(), [1.5, -2.5]);
}

#[test]
fn a_checkpoint_and_its_tensors_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Checkpoint>();
    is_shared::<Tensor>();
}

/// A tensor of random finite values.
fn written() -> impl Strategy<Value = Written> {
    let dtype = prop::sample::select(vec![Dtype::F32, Dtype::F16, Dtype::BF16]);
    let shape = prop::collection::vec(1_usize..6, 0..=4);
    (dtype, shape, any::<u64>()).prop_map(|(dtype, shape, seed)| {
        let count: usize = shape.iter().product();
        // A linear congruential generator; if all bits of an exponent are set, one is cleared.
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        let bytes = (0..count)
            .flat_map(|_| {
                let bits = next();
                let half = (bits >> 16) as u16;
                match dtype {
                    Dtype::F32 if !f32::from_bits(bits).is_finite() => {
                        (bits & !(1 << 23)).to_le_bytes().to_vec()
                    }
                    Dtype::F32 => bits.to_le_bytes().to_vec(),
                    Dtype::F16 if !f16::from_bits(half).is_finite() => {
                        (half & !(1 << 10)).to_le_bytes().to_vec()
                    }
                    Dtype::BF16 if !bf16::from_bits(half).is_finite() => {
                        (half & !(1 << 7)).to_le_bytes().to_vec()
                    }
                    _ => half.to_le_bytes().to_vec(),
                }
            })
            .collect();
        Written {
            dtype,
            shape,
            bytes,
        }
    })
}

fn tensors() -> impl Strategy<Value = BTreeMap<String, Written>> {
    prop::collection::btree_map("[a-z.0-9é]{1,12}", written(), 1..8)
}

/// A change to a file's bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Characters with a meaning in a header are more likely to get past the first check.
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"{}[]\":,-.0129eFBU \\\0".to_vec())
    ];
    prop_oneof![
        4 => (any::<Index>(), byte.clone()).prop_map(|(at, to)| Damage::Set(at, to)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), prop::collection::vec(byte, 1..4)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => any::<Index>().prop_map(Damage::Remove),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Set(at, to) => {
            let at = at.index(bytes.len());
            bytes[at] = *to;
        }
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Remove(at) => {
            bytes.remove(at.index(bytes.len()));
        }
    }
}

/// Opens a folder and reads every tensor in both modes, which must agree; either outcome is accepted.
fn open_and_read(folder: &Path) -> Result<(), TestCaseError> {
    let outcome = |mmap| -> Result<Vec<(String, Vec<u32>)>, String> {
        let checkpoint = OpenOptions::new()
            .map(stable(mmap))
            .open(folder)
            .map_err(|e| e.to_string())?;
        checkpoint
            .names()
            .map(|name| {
                let tensor = checkpoint.tensor(name).map_err(|e| e.to_string())?;
                assert_promises(&tensor);
                Ok((
                    name.to_owned(),
                    tensor.as_slice().iter().map(|x| x.to_bits()).collect(),
                ))
            })
            .collect()
    };
    prop_assert_eq!(outcome(true), outcome(false));
    Ok(())
}

/// The guarantees for every tensor that was returned.
fn assert_promises(tensor: &Tensor) {
    assert!(
        tensor.as_slice().iter().all(|value| value.is_finite()),
        "{tensor:?}"
    );
    assert_eq!(
        tensor.as_slice().len(),
        tensor.shape().iter().product::<usize>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_safetensors_crate_writes_comes_back(tensors in tensors()) {
        check_round_trip(&tensors);
    }

    #[test]
    fn arbitrary_files_do_not_panic(
        config in prop::collection::vec(any::<u8>(), 0..64),
        weights in prop::collection::vec(any::<u8>(), 0..256),
        index in prop::option::of(prop::collection::vec(any::<u8>(), 0..128)),
        header_length in prop::option::of(0_u64..256),
        config_is_good in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let config = if config_is_good { b"{}".to_vec() } else { config };
        fs::write(folder.path().join("config.json"), config).unwrap();
        let start = header_length.map(|length| [&length.to_le_bytes()[..], b"{"].concat()).unwrap_or_default();
        fs::write(folder.path().join("model.safetensors"), [start, weights].concat()).unwrap();
        if let Some(index) = index {
            fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        }
        open_and_read(folder.path())?;
    }

    #[test]
    fn damaged_checkpoints_do_not_panic(
        tensors in tensors(),
        shards in prop::sample::select(vec![1_usize, 2]),
        file in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &tensors, shards);
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let path = &names[file.index(names.len())];
        let mut bytes = fs::read(path).unwrap();
        for damage in &damages {
            apply(damage, &mut bytes);
        }
        fs::write(path, bytes).unwrap();
        open_and_read(folder.path())?;
    }
}
