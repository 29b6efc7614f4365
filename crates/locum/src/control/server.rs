//! The node's end of the control socket: one thread, a few clients, nothing that can grow.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use locum_link::poller::FDS_MAX;
use locum_link::{Clock, Poller, Waker};
use locum_types::Instant;

use super::{REQUEST_LEN_MAX, Reply, Request, http};

/// Clients at once; one more is told so and sent away.
pub const CLIENTS_MAX: usize = FDS_MAX - 2;
/// A client that asks nothing for this long is sent away.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Owner and group of the socket may ask and command.
const SOCKET_MODE: u32 = 0o660;

/// Why the socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A node answers there.
    #[error(
        "another process answers on {}: stop it, or give this node its own `control.socket`",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error(
        "{} exists and is not a socket: remove it, or correct `control.socket`",
        path.display()
    )]
    NotASocket {
        /// What was found.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot bind the control socket {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says about it.
        #[source]
        source: io::Error,
    },
}

/// The bound socket. Its file goes away with it.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file: another node's socket of the same name is not ours to remove.
    file: (u64, u64),
}

impl ControlServer {
    /// Binds `path` with mode 0660. A socket that a dead process left behind is replaced, a missing
    /// directory (the last one of the path) is made.
    ///
    /// # Errors
    /// [`BindError`]: somebody answers there, something else is there, or the system refuses.
    pub fn bind(path: &Path) -> Result<ControlServer, BindError> {
        let io = |source| BindError::Io { path: path.to_owned(), source };
        remove_stale(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            match fs::create_dir(parent) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(error)),
            }
        }
        let listener = UnixListener::bind(path).map_err(io)?;
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let meta = fs::symlink_metadata(path).map_err(io)?;
        Ok(ControlServer { listener, path: path.to_owned(), file: (meta.dev(), meta.ino()) })
    }

    /// Answers requests by `handler`, on a thread of its own, until the handle is dropped.
    ///
    /// The handler is called for one request at a time. It may wait for the node, but not for long:
    /// the other clients wait with it.
    ///
    /// # Errors
    /// Out of threads or descriptors.
    pub fn serve(
        self,
        handler: impl FnMut(Request) -> Reply + Send + 'static,
    ) -> io::Result<ControlHandle> {
        let waker = Waker::new()?;
        let stop = waker.clone();
        let thread = thread::Builder::new().name("control-socket".to_owned()).spawn(move || {
            let served = Loop { server: self, clients: Vec::new(), handler }.run(&stop);
            if let Err(error) = served {
                log::error!("the control socket is closed: {error}");
            }
        })?;
        Ok(ControlHandle { waker, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            log::debug!("the control socket {} stays behind: {error}", self.path.display());
        }
    }
}

/// Removes a socket that nobody answers on.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let io = |source| BindError::Io { path: path.to_owned(), source };
            fs::remove_file(path).map_err(io)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) | Err(_) => Err(BindError::InUse { path: path.to_owned() }),
    }
}

/// The serving thread. Dropping it ends the thread and removes the socket.
#[derive(Debug)]
pub struct ControlHandle {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ControlHandle {
    fn drop(&mut self) {
        self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the control socket's thread panicked");
        }
    }
}

/// The state of the serving thread.
struct Loop<H> {
    server: ControlServer,
    clients: Vec<Connection>,
    handler: H,
}

impl<H: FnMut(Request) -> Reply> Loop<H> {
    fn run(mut self, stop: &Waker) -> io::Result<()> {
        loop {
            let mut fds: Vec<BorrowedFd<'_>> = vec![stop.as_fd(), self.server.listener.as_fd()];
            fds.extend(self.clients.iter().map(|client| client.stream.as_fd()));
            let deadline = self.clients.iter().map(|client| client.heard + IDLE_MAX).min();
            let ready = Poller.wait(&fds, deadline)?;
            if ready.readable(0) {
                return Ok(());
            }
            let now = Clock.now();
            let mut index = 2;
            self.clients.retain_mut(|client| {
                let wanted = ready.readable(index) || ready.broken(index);
                index += 1;
                if wanted {
                    client.serve(now, &mut self.handler).is_ok()
                } else {
                    now - client.heard < IDLE_MAX
                }
            });
            if ready.readable(1) {
                self.accept(now);
            }
        }
    }

    /// Lets one client in. More of them come round at once: the listener stays readable.
    fn accept(&mut self, now: Instant) {
        let accepted = self.server.listener.accept().and_then(|(stream, _)| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        match accepted {
            Ok(stream) if self.clients.len() < CLIENTS_MAX => {
                self.clients.push(Connection { stream, input: Vec::new(), heard: now });
            }
            Ok(mut stream) => {
                let busy = format!("{CLIENTS_MAX} clients are connected already: try again later");
                // Best effort: the client is sent away in either case.
                let _ = stream.write(&Reply::Refused(busy).to_line());
            }
            Err(error) => log::debug!("a client of the control socket was lost: {error}"),
        }
    }
}

/// One client.
struct Connection {
    stream: UnixStream,
    /// The request as far as it has come; at most [`REQUEST_LEN_MAX`] bytes and a newline.
    input: Vec<u8>,
    heard: Instant,
}

impl Connection {
    /// Reads what is there and answers it.
    ///
    /// # Errors
    /// The client left, broke the rules, or does not read its replies: it is to be dropped.
    fn serve(
        &mut self,
        now: Instant,
        handler: &mut impl FnMut(Request) -> Reply,
    ) -> io::Result<()> {
        let mut chunk = [0; REQUEST_LEN_MAX + 1];
        let room = (REQUEST_LEN_MAX + 1).saturating_sub(self.input.len());
        let count = match self.stream.read(&mut chunk[..room]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        self.heard = now;
        self.input.extend_from_slice(&chunk[..count]);
        if http::is_http(&self.input) {
            let Some(answer) = http::answer(&self.input, handler) else { return Ok(()) };
            self.stream.write_all(&answer)?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let reply = answer(line.trim_ascii_end(), handler);
            // A reply fits the socket buffer; a client that lets it fill up is not reading.
            self.stream.write_all(&reply.to_line())?;
        }
        if self.input.len() > REQUEST_LEN_MAX {
            let long = format!("a request is one line of at most {REQUEST_LEN_MAX} bytes");
            self.stream.write_all(&Reply::Refused(long).to_line())?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }
}

fn answer(line: &[u8], handler: &mut impl FnMut(Request) -> Reply) -> Reply {
    match serde_json::from_slice(line) {
        Ok(request) => handler(request),
        Err(error) => Reply::Refused(format!(
            "not a request: {error}; send {{\"cmd\":\"status\"}} or {{\"cmd\":\"handover\"}}"
        )),
    }
}
