//! Finding the control socket of the node that is meant.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Socket;
use crate::config::SOCKET_DIR;

/// Why it is not clear which node is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSocket {
    /// There is none in the usual place.
    #[error("no node runs here: no socket in {SOCKET_DIR}; name another place by -s SOCKET")]
    None,
    /// There are several in the usual place.
    #[error("several nodes run here, choose one by -s: {}", list(.0))]
    Several(Vec<PathBuf>),
}

fn list(sockets: &[PathBuf]) -> String {
    let names: Vec<String> = sockets.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// The socket that was named, or the only one there is.
pub(super) fn find(named: &Socket) -> Result<PathBuf, NoSocket> {
    match &named.socket {
        Some(path) => Ok(path.clone()),
        None => find_in(Path::new(SOCKET_DIR)),
    }
}

fn find_in(directory: &Path) -> Result<PathBuf, NoSocket> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_socket = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sock");
    let mut sockets: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_socket).collect();
    sockets.sort();
    match sockets.as_slice() {
        [] => Err(NoSocket::None),
        [only] => Ok(only.clone()),
        [_, _, ..] => Err(NoSocket::Several(sockets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_socket_is_the_one_meant_and_several_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(find_in(directory.path()), Err(NoSocket::None));
        let [one, two] = ["one.sock", "two.sock"].map(|name| directory.path().join(name));
        fs::write(directory.path().join("notes.txt"), "").unwrap();
        fs::write(&one, "").unwrap();
        assert_eq!(find_in(directory.path()), Ok(one.clone()));
        fs::write(&two, "").unwrap();
        let error = find_in(directory.path()).unwrap_err();
        assert_eq!(error, NoSocket::Several(vec![one, two]));
        assert!(error.to_string().contains("two.sock"), "{error}");
    }
}
