//! The operator's end of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locum_link::{Clock, Poller};

use super::{REPLY_LEN_MAX, Reply, Request};
use crate::status::NodeStatus;

/// A node answers within a turn of its loops: this is generous.
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(
        "no node answers on {}: {source}; is it running, and is this its `control.socket`?",
        path.display()
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says about it.
        source: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error(
        "no permission to talk to {}: run as root, or as a member of the socket's group",
        path.display()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// What came back is not a reply.
    #[error("{} answers, but not as a node of this version does", path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
    },
    /// The node refuses, and says why.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a node.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the node at `path`.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] or [`ClientError::Denied`].
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(REPLY_WITHIN))?;
            stream.set_write_timeout(Some(REPLY_WITHIN))?;
            Ok(BufReader::new(stream))
        };
        let stream = connect().map_err(|source| failed(path, source))?;
        Ok(Client { path: path.to_owned(), stream })
    }

    /// How is the node?
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&mut self) -> Result<NodeStatus, ClientError> {
        match self.ask(Request::Status)? {
            Reply::Status(status) => Ok(*status),
            Reply::Refused(why) => Err(ClientError::Refused(why)),
            Reply::Done(_) => Err(ClientError::Garbled { path: self.path.clone() }),
        }
    }

    /// Asks the node to hand over, to `to` if given; returns what the node says will happen.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn handover(&mut self, to: Option<u8>) -> Result<String, ClientError> {
        match self.ask(Request::Handover { to })? {
            Reply::Done(what) => Ok(what),
            Reply::Refused(why) => Err(ClientError::Refused(why)),
            Reply::Status(_) => Err(ClientError::Garbled { path: self.path.clone() }),
        }
    }

    /// Waits for `duration`, or until the node goes away.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`]: it went away.
    pub fn wait(&mut self, duration: Duration) -> Result<(), ClientError> {
        let deadline = Clock.now() + duration;
        let stream = self.stream.get_ref();
        match Poller.wait(&[stream.as_fd()], Some(deadline)) {
            // Nothing was asked, so there is nothing to read but the end.
            Ok(ready) if !ready.is_empty() => Err(failed(&self.path, hung_up())),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&self.path, error)),
        }
    }

    fn ask(&mut self, request: Request) -> Result<Reply, ClientError> {
        let line = self.exchange(request).map_err(|source| failed(&self.path, source))?;
        Reply::from_line(&line).ok_or_else(|| ClientError::Garbled { path: self.path.clone() })
    }

    fn exchange(&mut self, request: Request) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        // A node that has all its clients says so and hangs up before it reads: the refusal is
        // worth more than the broken pipe.
        let sent = self.stream.get_mut().write_all(&line);
        let mut reply = Vec::new();
        let limit = REPLY_LEN_MAX as u64;
        let count = self.stream.by_ref().take(limit).read_until(b'\n', &mut reply)?;
        if count == 0 {
            sent?;
            return Err(hung_up());
        }
        Ok(reply)
    }
}

fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the node closed the connection")
}

fn failed(path: &Path, source: io::Error) -> ClientError {
    let path = path.to_owned();
    if source.kind() == io::ErrorKind::PermissionDenied {
        return ClientError::Denied { path };
    }
    if source.kind() == io::ErrorKind::WouldBlock {
        let late = format!("no answer within {} s", REPLY_WITHIN.as_secs());
        let source = io::Error::new(io::ErrorKind::TimedOut, late);
        return ClientError::Unreachable { path, source };
    }
    ClientError::Unreachable { path, source }
}
