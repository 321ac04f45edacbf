//! `completions` and `man`: completions for a shell, and manual pages.

use crate::{output, version};
use clap::Command;
use clap_complete::Shell;
use std::path::PathBuf;

/// Options of `completions`.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  layerwise completions bash > ~/.local/share/bash-completion/completions/layerwise")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Options of `man`.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  layerwise man ~/.local/share/man/man1")]
pub struct Pages {
    /// The folder for the pages, one for each command
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints a shell script that completes command lines.
///
/// # Errors
/// Standard output is closed.
pub fn completions(arguments: &Completions, mut command: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "layerwise", &mut script);
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}

/// Writes the manual pages of a command line, and prints their paths.
///
/// # Errors
/// A page cannot be written.
pub fn pages(arguments: &Pages, command: Command) -> anyhow::Result<()> {
    output::make_folder(&arguments.folder)?;
    let mut command = command.version(version::VERSION).bin_name("layerwise");
    command.build();
    let mut written = Vec::new();
    for command in with_all_below(&command) {
        let man = clap_mangen::Man::new(command.clone());
        let mut page = Vec::new();
        man.render(&mut page)?;
        let path = arguments.folder.join(man.get_filename());
        output::write(&path, &page)?;
        written.push(path);
    }
    Ok(output::print_paths(&written)?)
}

/// A command and its subcommands, except those that show help.
fn with_all_below(command: &Command) -> Vec<&Command> {
    let below = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    std::iter::once(command)
        .chain(below.flat_map(with_all_below))
        .collect()
}
