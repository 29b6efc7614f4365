//! The control socket: lines in, lines out. Who does not read the answers is hung up on.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::switch::Switch;

/// Clients at the same time; one more is told to wait.
const CLIENTS_MAX: usize = 8;

/// The longest line, in bytes.
const LINE_MAX: usize = 1_024;

/// A listening unix socket, and those who have connected. Dropping it removes the socket.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    listener: UnixListener,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    /// The beginning of a line.
    pending: Vec<u8>,
}

impl Control {
    /// Listens at `path`, in place of a socket that nobody listens at any more.
    ///
    /// # Errors
    /// Another process listens there, there is another kind of file, or the system says no.
    pub fn bind(path: &Path) -> io::Result<Control> {
        let explain = |error: io::Error| {
            let message = format!("cannot listen at {}: {error}", path.display());
            io::Error::new(error.kind(), message)
        };
        match UnixStream::connect(path) {
            Ok(_) => {
                let message = "another switch listens there: stop it, or use another path";
                return Err(explain(io::Error::new(io::ErrorKind::AddrInUse, message)));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(explain)?;
            }
            // What it is, the attempt to bind tells.
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(explain)?;
        listener.set_nonblocking(true)?;
        Ok(Control { path: path.to_owned(), listener, clients: Vec::new() })
    }

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// Lets in who knocks, and answers every whole line.
    pub(crate) fn answer(&mut self, switch: &mut Switch) {
        self.accept();
        self.clients.retain_mut(|client| client.answer(switch).is_ok());
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= CLIENTS_MAX {
                // Hung up on in any case.
                let _ = stream.write_all(b"error: too many clients: close a connection\n");
                continue;
            }
            self.clients.push(Client { stream, pending: Vec::new() });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

impl Client {
    /// Reads once, and answers every line that is whole now. An error: hang up.
    fn answer(&mut self, switch: &mut Switch) -> io::Result<()> {
        let mut bytes = [0; LINE_MAX];
        let len = match self.stream.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        for byte in bytes.iter().take(len) {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.pending);
                    let answer = reply(switch, &String::from_utf8_lossy(&line));
                    self.stream.write_all(answer.as_bytes())?;
                }
                _ if self.pending.len() >= LINE_MAX => {
                    let answer = format!("error: a line has at most {LINE_MAX} bytes\n");
                    self.stream.write_all(answer.as_bytes())?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
                other => self.pending.push(*other),
            }
        }
        Ok(())
    }
}

/// The answer to one line, as a line.
fn reply(switch: &mut Switch, line: &str) -> String {
    let obeyed = line.parse::<Command>().and_then(|command| switch.obey(&command));
    match obeyed {
        Ok(answer) if answer.is_empty() => "ok\n".to_owned(),
        Ok(answer) => format!("ok {answer}\n"),
        Err(error) => format!("error: {error}\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// A path that no other test has.
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("l2switch-{name}-{}", std::process::id()))
    }

    fn ask(control: &mut Control, client: &mut UnixStream, lines: &str) -> Vec<String> {
        client.write_all(lines.as_bytes()).expect("room in the socket");
        let mut switch = Switch::new(1);
        // Once to accept, which reads as well.
        control.answer(&mut switch);
        client.shutdown(std::net::Shutdown::Write).expect("connected");
        control.answer(&mut switch);
        BufReader::new(client).lines().map_while(Result::ok).collect()
    }

    #[test]
    fn each_line_has_its_answer_and_half_a_line_none() {
        let path = path("lines");
        let mut control = Control::bind(&path).expect("a free path");
        let mut client = UnixStream::connect(&path).expect("it listens");
        let answers =
            ask(&mut control, &mut client, "ageing 5s\nheal x both\nnonsense\nstats\nageing");
        assert_eq!(answers.len(), 4, "{answers:?}");
        assert_eq!(answers[0], "ok");
        assert!(answers[1].starts_with("error: no port \"x\""), "{}", answers[1]);
        assert!(answers[2].starts_with("error: unknown command"), "{}", answers[2]);
        assert!(answers[3].starts_with("ok {\"switch\":{"), "{}", answers[3]);
        assert!(control.clients.is_empty(), "who has hung up is forgotten");
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let path = path("long");
        let mut control = Control::bind(&path).expect("a free path");
        let mut client = UnixStream::connect(&path).expect("it listens");
        let answers = ask(&mut control, &mut client, &"x".repeat(2 * LINE_MAX));
        assert_eq!(answers, ["error: a line has at most 1024 bytes"]);
    }

    #[test]
    fn one_client_too_many_is_told_so() {
        let path = path("many");
        let mut control = Control::bind(&path).expect("a free path");
        let connect = || UnixStream::connect(&path).expect("it listens");
        let clients: Vec<UnixStream> = (0..CLIENTS_MAX).map(|_| connect()).collect();
        control.answer(&mut Switch::new(1));
        let mut late = connect();
        let answers = ask(&mut control, &mut late, "stats\n");
        assert_eq!(answers, ["error: too many clients: close a connection"]);
        assert_eq!(control.clients.len(), clients.len());
    }

    #[test]
    fn a_path_is_taken_over_from_the_dead_but_not_from_the_living() {
        let path = path("taken");
        // As a killed switch leaves it.
        drop(UnixListener::bind(&path).expect("a free path"));
        let control = Control::bind(&path).expect("nobody listens there");
        let error = Control::bind(&path).expect_err("somebody does");
        assert!(error.to_string().contains("use another path"), "{error}");
        drop(control);
    }
}
