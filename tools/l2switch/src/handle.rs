//! Telling a running switch what to do, from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{
    Receiver, Sender, SyncSender, TryRecvError, channel as answers, sync_channel,
};
use std::thread::{self, JoinHandle};

use locum_link::Waker;

use crate::command::{Command, CommandError};
use crate::serve::{hurry, serve};
use crate::switch::Switch;

/// Requests that may wait; whoever finds no room waits itself.
const REQUESTS_MAX: usize = 16;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The switch refused.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// There is no switch any more.
    #[error("the switch has stopped: start it again")]
    Stopped,
}

#[derive(Debug)]
enum Request {
    Obey { command: Command, answer: Sender<Result<String, CommandError>> },
    Stop,
}

/// Makes the two ends by which a switch is told what to do: one for other threads, one for
/// [`serve`].
///
/// # Errors
/// Out of descriptors.
pub fn channel() -> io::Result<(Remote, Inbox)> {
    let waker = Waker::new()?;
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    Ok((Remote { requests: sender, waker: waker.clone() }, Inbox { requests, waker }))
}

/// The end for other threads. Clones tell the same switch.
#[derive(Clone, Debug)]
pub struct Remote {
    requests: SyncSender<Request>,
    waker: Waker,
}

impl Remote {
    /// Has a command carried out, and waits for its answer: empty but for [`Command::Stats`].
    ///
    /// # Errors
    /// The switch refuses it, or has stopped.
    pub fn send(&self, command: Command) -> Result<String, HandleError> {
        let (answer, answered) = answers();
        self.request(Request::Obey { command, answer })?;
        Ok(answered.recv().map_err(|_| HandleError::Stopped)??)
    }

    /// Stops the switch soon; nothing happens if it has stopped.
    pub fn stop(&self) {
        let _ = self.request(Request::Stop);
    }

    fn request(&self, request: Request) -> Result<(), HandleError> {
        self.requests.send(request).map_err(|_| HandleError::Stopped)?;
        self.waker.wake();
        Ok(())
    }
}

/// The end for the switch. It also stops when every [`Remote`] is gone, once something wakes it.
#[derive(Debug)]
pub struct Inbox {
    requests: Receiver<Request>,
    waker: Waker,
}

impl Inbox {
    /// Has the switch do what was asked for; false when it is to stop.
    pub(crate) fn obey(&self, switch: &mut Switch) -> bool {
        self.waker.drain();
        loop {
            match self.requests.try_recv() {
                Ok(Request::Obey { command, answer }) => {
                    // Whoever does not wait for the answer does not need it.
                    let _ = answer.send(switch.obey(&command));
                }
                Ok(Request::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

/// A switch that runs on a thread of its own. Dropping it stops the switch and waits for its end.
#[derive(Debug)]
pub struct Handle {
    remote: Remote,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Handle {
    /// Starts a thread that makes a switch by `build` and runs it, with real-time priority where
    /// that is permitted. `build` may enter a network namespace first.
    ///
    /// # Errors
    /// What `build` says, or that there can be no thread.
    pub fn start(
        build: impl FnOnce() -> io::Result<Switch> + Send + 'static,
    ) -> io::Result<Handle> {
        let (remote, inbox) = channel()?;
        let (started, starts) = sync_channel(1);
        let thread =
            thread::Builder::new().name("l2switch".to_owned()).spawn(move || match build() {
                Ok(switch) => {
                    let _ = started.send(Ok(()));
                    hurry();
                    serve(switch, &inbox, None)
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    Ok(())
                }
            })?;
        let handle = Handle { remote, thread: Some(thread) };
        // No word at all: `build` has panicked, and said so itself.
        starts.recv().unwrap_or_else(|_| Err(io::Error::other("the switch did not start")))?;
        Ok(handle)
    }

    /// Has a command carried out, and waits for its answer: empty but for [`Command::Stats`].
    ///
    /// # Errors
    /// The switch refuses it, or has stopped.
    pub fn send(&self, command: Command) -> Result<String, HandleError> {
        self.remote.send(command)
    }

    /// Stops the switch and waits for its end.
    ///
    /// # Errors
    /// What ended it before, if something did.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.remote.stop();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the switch panicked")))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::warn!("the switch ended early: {error}");
        }
    }
}
