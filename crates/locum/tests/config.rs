//! Configuration files, and what `locum check` says about each: `tests/config/NAME.toml` against
//! `NAME.expected`. What a file named `good-…` prints must be a configuration again, the same
//! one.
//!
//! `LOCUM_BLESS=1 cargo test -p locum --test config` writes the expectations anew: read the diff.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// The exit code for a configuration that is wrong.
const CONFIG: i32 = 3;
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

fn main() -> ExitCode {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let entries = fs::read_dir(&cases).expect("the cases are part of the repository");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let trials: Vec<Trial> = files.into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(file: PathBuf) -> Trial {
    let name = stem(&file).to_owned();
    Trial::test(name.clone(), move || {
        let place = Place::new()?;
        if name.starts_with("good-") { good(&place, &file) } else { bad(&place, &file) }
    })
}

fn bad(place: &Place, file: &Path) -> Result<(), Failed> {
    let output = place.check(&fs::read_to_string(file)?, stem(file))?;
    if output.status.code() != Some(CONFIG) || !output.stdout.is_empty() {
        return Err(format!("exit code {CONFIG} and no output are right: {output:?}").into());
    }
    compare(file, &place.neutral(&output.stderr))
}

fn good(place: &Place, file: &Path) -> Result<(), Failed> {
    let first = place.accepted(&fs::read_to_string(file)?, stem(file))?;
    compare(file, &place.neutral(first.as_bytes()))?;
    let second = place.accepted(&first, "resolved")?;
    if second != first {
        return Err(format!("not a fixed point:\n{first}\nbecomes\n{second}").into());
    }
    Ok(())
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

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// A directory with what the configurations refer to.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Place, Failed> {
        let place = Place(tempfile::tempdir()?);
        for (name, content, mode) in [
            ("group.key", KEY, 0o600),
            ("open.key", KEY, 0o644),
            ("shared.key", KEY, 0o640),
            ("short.key", "0011223344\n", 0o600),
            ("poem.key", "roses are red\n", 0o400),
            ("notify", "#!/bin/sh\n", 0o755),
        ] {
            let path = place.0.path().join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        fs::create_dir(place.0.path().join("www"))?;
        Ok(place)
    }

    /// Runs `locum check` on `text`, in a file of the given name.
    fn check(&self, text: &str, name: &str) -> Result<Output, Failed> {
        let file = format!("{name}.toml");
        fs::write(self.0.path().join(&file), text)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
        command.args(["check", "-c", &file]).current_dir(&self.0);
        Ok(command.output()?)
    }

    fn accepted(&self, text: &str, name: &str) -> Result<String, Failed> {
        let output = self.check(text, name)?;
        if !output.status.success() || !output.stderr.is_empty() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same text wherever the directory is.
    fn neutral(&self, said: &[u8]) -> String {
        let here = self.0.path().to_string_lossy().into_owned();
        String::from_utf8_lossy(said).replace(&here, "/etc/locum")
    }
}
