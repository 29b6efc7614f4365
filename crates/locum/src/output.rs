//! Standard output: in whole pieces, and quiet about readers that have seen enough.

use std::io::{self, IsTerminal, Write};

/// The reader closed the pipe: nothing more is wanted, and nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the output is gone")]
pub struct Closed;

/// Writes `text` to standard output, all of it, now.
///
/// # Errors
/// [`Closed`], or what the system says.
pub fn write(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
    }
}

/// Tells the operator what went wrong, on standard error. If that fails there is nobody to tell.
pub fn complain(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Whether somebody watches the output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether to use colours: on a terminal that can, unless `NO_COLOR` says no (no-color.org).
pub fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_terminal() && !set("NO_COLOR") && !dumb
}
