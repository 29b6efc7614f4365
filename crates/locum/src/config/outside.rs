//! What a configuration refers to outside its own text: the key, directories, programs.
//!
//! Behind a trait, so that the fuzzer and the tests of the pure checks touch no file system.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use locum_services::ServiceConfig;
use locum_stack::service::Transports;
use locum_wire::Key;

use super::section::Wrong;

/// Keys are 64 digits and a newline; nothing longer is read.
const KEY_FILE_LEN_MAX: u64 = 4096;
/// Permissions a key file must not have: anything for group and others, and execution.
const KEY_MODE_FORBIDDEN: u32 = 0o177;

/// The answers of the system to a configuration's references.
pub trait Outside {
    /// The group key in the file at `path`.
    ///
    /// # Errors
    /// What is wrong with it, and the fix.
    fn key(&self, path: &Path) -> Result<Key, Wrong>;

    /// What the service listens on, if it can be built.
    ///
    /// # Errors
    /// Why it cannot.
    fn transports(&self, service: &ServiceConfig) -> Result<Transports, Wrong>;

    /// Whether a unix socket can be made at `path`.
    ///
    /// # Errors
    /// Why not.
    fn socket(&self, path: &Path) -> Result<(), Wrong>;

    /// Whether the file at `path` can be run.
    ///
    /// # Errors
    /// Why not.
    fn program(&self, path: &Path) -> Result<(), Wrong>;
}

/// The file system.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem;

impl Outside for FileSystem {
    fn key(&self, path: &Path) -> Result<Key, Wrong> {
        let shown = path.display();
        let unreadable = |error: io::Error| {
            let fix = if error.kind() == io::ErrorKind::NotFound {
                format!("make one with `locum keygen {shown}`, and copy it to every node")
            } else {
                "let the user that runs locum read it, and nobody else".to_owned()
            };
            Wrong::new(format!("cannot read the key {shown}: {error}"), fix)
        };
        let file = File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            let fix = format!("remove it, and make a key with `locum keygen {shown}`");
            return Err(Wrong::new(format!("{shown} is not a file"), fix));
        }
        let mode = meta.mode() & 0o7777;
        if mode & KEY_MODE_FORBIDDEN != 0 {
            let what =
                format!("the key {shown} has mode {mode:04o}, and must be its owner's alone");
            return Err(Wrong::new(what, format!("chmod 600 {shown}")));
        }
        let mut text = String::new();
        file.take(KEY_FILE_LEN_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Key::from_hex(&text).map_err(|error| Wrong::new(format!("{shown}: {error}"), ""))
    }

    fn transports(&self, service: &ServiceConfig) -> Result<Transports, Wrong> {
        match service.build() {
            Ok(built) => Ok(built.transports()),
            Err(error) => Err(Wrong::new(error.to_string(), "")),
        }
    }

    fn socket(&self, path: &Path) -> Result<(), Wrong> {
        if let Ok(meta) = fs::symlink_metadata(path)
            && !meta.file_type().is_socket()
        {
            let what = format!("{} exists and is not a socket", path.display());
            return Err(Wrong::new(what, "remove it, or choose another path"));
        }
        // The last directory is made when the node starts.
        let parent = path.parent().unwrap_or(Path::new("/"));
        if parent.is_dir()
            || parent.parent().is_some_and(|above| above.is_dir() && !parent.exists())
        {
            return Ok(());
        }
        let what = format!("{} is not a directory", parent.display());
        Err(Wrong::new(what, format!("mkdir -p {}", parent.display())))
    }

    fn program(&self, path: &Path) -> Result<(), Wrong> {
        let shown = path.display();
        let meta = fs::metadata(path).map_err(|error| {
            Wrong::new(
                format!("cannot find {shown}: {error}"),
                "correct the path, or remove the key",
            )
        })?;
        if !meta.is_file() {
            return Err(Wrong::new(format!("{shown} is not a file"), "name the program itself"));
        }
        if meta.permissions().mode() & 0o111 == 0 {
            return Err(Wrong::new(
                format!("{shown} is not executable"),
                format!("chmod +x {shown}"),
            ));
        }
        Ok(())
    }
}

/// An outside where everything is as the configuration wants it; what the fuzzer uses.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Outside for Nowhere {
    fn key(&self, _: &Path) -> Result<Key, Wrong> {
        Ok(Key::new([0; 32]))
    }

    fn transports(&self, service: &ServiceConfig) -> Result<Transports, Wrong> {
        let datagrams = !matches!(service, ServiceConfig::Http { .. } | ServiceConfig::Kv { .. });
        Ok(Transports { tcp: true, udp: datagrams })
    }

    fn socket(&self, _: &Path) -> Result<(), Wrong> {
        Ok(())
    }

    fn program(&self, _: &Path) -> Result<(), Wrong> {
        Ok(())
    }
}
