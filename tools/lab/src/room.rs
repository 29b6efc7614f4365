//! The room of one network: its names, and the files that its programs write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

/// Where everything the lab writes lives: a file system of its own, gone with the lab.
const FILES: &str = "/run/lab";

/// The names and the directory of one network: no two of a process share them.
#[derive(Clone, Debug)]
pub struct Room {
    /// What the names of its namespaces begin with.
    pub prefix: String,
    /// The directory of its logs, captures and configuration files.
    pub files: PathBuf,
}

impl Room {
    /// Makes one. Call it inside.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Room> {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let files = Path::new(FILES).join(format!("{serial}-{name}"));
        fs::create_dir_all(&files).with_context(|| format!("create {}", files.display()))?;
        Ok(Room { prefix: format!("{name}{serial}"), files })
    }
}

/// The last lines of everything that programs have written into this directory, for the report of a
/// failure.
pub fn logs(files: &Path) -> String {
    let mut report = String::new();
    let Ok(entries) = fs::read_dir(files) else { return report };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths.iter().filter(|path| is_log(path)) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        if !text.is_empty() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            report += &format!("--- {name}\n{}\n", last_lines(&text, 60));
        }
    }
    report
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "err" || extension == "out")
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Copies the files of a room, also those of programs that still write, into `target`; not those that
/// are empty, and not the key.
///
/// # Errors
/// What the file system says.
pub fn keep(files: &Path, target: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
    for entry in fs::read_dir(files)? {
        let entry = entry?;
        let is_key = entry.path().extension().is_some_and(|extension| extension == "key");
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.len() > 0 && !is_key {
            fs::copy(entry.path(), target.join(entry.file_name()))?;
        }
    }
    Ok(())
}
