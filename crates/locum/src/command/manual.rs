//! The manual page, made from the command line and from what else its readers need.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::Exit;

/// What the page says besides the command line; `roff`, see `man-pages(7)`.
const FILES_AND_SIGNALS: &str = include_str!("manual.roff");

/// The page, as `roff`.
pub(super) fn page() -> io::Result<Vec<u8>> {
    let command = Cli::command();
    let mut page = Vec::new();
    let man = Man::new(command.clone()).section("8").manual("System administration");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    for subcommand in command.get_subcommands() {
        page.extend_from_slice(parts("locum", subcommand)?.as_bytes());
    }
    page.extend_from_slice(exit_status().as_bytes());
    page.extend_from_slice(FILES_AND_SIGNALS.as_bytes());
    Ok(page)
}

/// A command of `parent`; of one with commands of its own, all of those.
fn parts(parent: &str, command: &Command) -> io::Result<String> {
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        return command.get_subcommands().map(|inner| parts(&name, inner)).collect();
    }
    part(&name, command)
}

/// One command: its usage as a heading, what it does, its options.
fn part(name: &str, command: &Command) -> io::Result<String> {
    let command = command.clone().disable_help_flag(true);
    let usage = command.clone().bin_name(name).render_usage();
    let usage = usage.to_string().replace("Usage: ", "").replace('-', "\\-");
    let man = Man::new(command.clone());
    let mut rest = Vec::new();
    man.render_description_section(&mut rest)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut rest)?;
    }
    let rest = String::from_utf8_lossy(&rest).into_owned();
    // What makes it a section of its own goes: the title, and the definitions before it.
    let is_frame = |line: &&str| [".SH", ".ie", ".el"].iter().any(|word| line.starts_with(word));
    let body: Vec<&str> = rest.lines().filter(|line| !is_frame(line)).collect();
    Ok(format!(".SS {usage}\n{}\n", body.join("\n")))
}

fn exit_status() -> String {
    let row = |exit: Exit| {
        let meaning = exit.meaning().replace('`', "");
        format!(".TP\n\\fB{}\\fR\n{meaning}\n", exit.code())
    };
    let rows: String = Exit::ALL.map(row).concat();
    format!(".SH EXIT STATUS\n{rows}")
}
