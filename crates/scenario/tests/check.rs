//! Scenarios that are wrong, and what is said about each: `tests/check/NAME.toml` against
//! `NAME.expected`.
//!
//! `LOCUM_BLESS=1 cargo test -p locum-scenario --test check` writes the expectations anew: read the diff.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_scenario::model::Scenario;

fn main() -> ExitCode {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let entries = fs::read_dir(directory).expect("the cases are part of the repository");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let trials = files.into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Trial::test(name.clone(), move || {
        let text = fs::read_to_string(&file)?;
        let Err(report) = Scenario::parse(&text, &name, &format!("{name}.toml")) else {
            return Err("it is accepted".into());
        };
        compare(&file, &format!("{report}\n"))
    })
}

fn compare(file: &Path, said: &str) -> Result<(), Failed> {
    let expected_file = file.with_extension("expected");
    if std::env::var_os("LOCUM_BLESS").is_some() {
        fs::write(&expected_file, said)?;
    }
    let expected = fs::read_to_string(&expected_file).unwrap_or_default();
    if said == expected {
        return Ok(());
    }
    Err(format!("it says\n{said}\nand not, as {} has it,\n{expected}", expected_file.display())
        .into())
}
