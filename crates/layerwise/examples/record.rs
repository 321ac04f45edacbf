//! Writes the residual stream after every block, at every position of a text, to a NumPy file [blocks, tokens, width].
//!
//!     cargo run --release --package layerwise --example record -- MODEL "A text." states.npy

use layerwise::schedule::Site;
use layerwise::transformer::Recording;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, text, out] = arguments.as_slice() else {
        return Err("expected MODEL TEXT OUT.npy".into());
    };
    run(folder, text, Path::new(out))
}

pub(crate) fn run(folder: &str, text: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let tokens = opened.tokens(text)?;
    let config = opened.model.config();
    let mut recording = Recording::of(config, &[Site::ResidPost])?;
    opened
        .model
        .run(&tokens, &opened.model.plain(), &mut recording)?;
    let shape = format!("({}, {}, {})", config.layers, tokens.len(), config.model);
    let about = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The header is padded to a multiple of 64 bytes.
    let width = (about.len() + 11).next_multiple_of(64) - 11;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(width + 1)?.to_le_bytes());
    bytes.extend(format!("{about:width$}\n").bytes());
    for activation in recording.activations().values() {
        bytes.extend(activation.iter().flat_map(|value| value.to_le_bytes()));
    }
    std::fs::write(out, bytes)?;
    println!("{}: {shape}", out.display());
    Ok(())
}
