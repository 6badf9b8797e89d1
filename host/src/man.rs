use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::Arguments;
use super::failure::Failure;
use super::internal_args::ManArguments;

/// The command `man`: writes a man page for the program and for each of its commands, such as
/// `sage-host-run.1`.
pub(super) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    fs::create_dir_all(folder)
        .and_then(|()| write_pages(&program, folder))
        .map_err(|error| Failure::invalid(format!("cannot write man pages to {}: {error}", folder.display())))
}

fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, folder)?;
    }
    let page = Man::new(command.clone());
    let mut bytes = Vec::new();
    render(&page, command, &mut bytes)?;
    fs::write(folder.join(page.get_filename()), bytes)
}

/// Writes the sections of a page. The text after the options is a section of fixed lines, because it contains
/// tables and examples.
fn render(page: &Man, command: &clap::Command, output: &mut impl Write) -> io::Result<()> {
    // The library leaves out the empty date, which moves the version into the place of the date.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    writeln!(output, ".TH {name} 1 \"\" \"sage-host {}\" \"sage-host\"", env!("CARGO_PKG_VERSION"))?;
    page.render_name_section(output)?;
    page.render_synopsis_section(output)?;
    page.render_description_section(output)?;
    page.render_options_section(output)?;
    if command.has_subcommands() {
        page.render_subcommands_section(output)?;
    }
    if let Some(notes) = command.get_after_help() {
        let mut section = Roff::new();
        section.control("SH", ["NOTES"]).control("nf", []);
        for line in notes.to_string().lines() {
            section.text([roman(line)]);
        }
        section.control("fi", []);
        section.to_writer(output)?;
    }
    Ok(())
}
