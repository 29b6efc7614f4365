//! What each command does. The command line itself is in [`cli`](crate::cli).

mod keygen;
mod manual;
mod scenario;
mod socket;
mod status;

pub use socket::NoSocket;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, ConfigFile};
use crate::config::{Config, Report};
use crate::control::Client;
use crate::exit::Exit;
use crate::{daemon, demo, logging, output};

/// The program: parses `args` (the program's own name first), obeys, and says how it went.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, not errors; in either case nobody may be reading.
            let _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    if let Some(code) = scenario::go_inside(&cli.command) {
        return code;
    }
    match obey(cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(&error);
            if exit != Exit::Ok {
                explain(&error);
            }
            exit.into()
        }
    }
}

/// A report about a configuration speaks for itself; anything else is introduced.
fn explain(error: &anyhow::Error) {
    match error.downcast_ref::<Report>() {
        Some(report) => output::complain(report.to_string()),
        None => output::complain(format!("locum: {error:#}")),
    }
}

fn obey(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(ConfigFile { config }) => run(&config),
        Command::Check(ConfigFile { config }) => {
            output::write(Config::load(&config)?.to_toml())?;
            Ok(Exit::Ok)
        }
        Command::Keygen { file } => keygen::keygen(&file),
        Command::Demo(options) => {
            let crate::cli::Demo { svg, json, speed, beats } = options;
            demo::run(&demo::Options { svg, json, speed, beats })
        }
        Command::Scenario(what) => scenario::scenario(what),
        Command::Status(how) => status::status(&how, &socket::find(&how.socket)?),
        Command::Handover { to, socket } => {
            let done = Client::connect(&socket::find(&socket)?)?.handover(to)?;
            output::write(format!("{done}\n"))?;
            Ok(Exit::Ok)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "locum", &mut script);
            output::write(script)?;
            Ok(Exit::Ok)
        }
        Command::Man => {
            output::write(manual::page()?)?;
            Ok(Exit::Ok)
        }
    }
}

fn run(file: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(file)?;
    logging::init(config.log)?;
    daemon::run(&config)
}
